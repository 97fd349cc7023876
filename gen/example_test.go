package gen_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/meminspect/meminspect/gen"
)

// Run writes the ledger and the table of a package. A build system that lists
// the files, as in this example, does not need the go command.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	source := "package shop\n\n//meminspect:entry\nvar requests int\n"
	if err := os.WriteFile(filepath.Join(dir, "shop.go"), []byte(source), 0o644); err != nil {
		fmt.Println(err)
		return
	}

	result, err := gen.Run(context.Background(), gen.Config{
		Dir: dir, Files: []string{"shop.go"}, ImportPath: "example.com/shop",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range result.Findings {
		fmt.Println(f)
	}
	for _, change := range result.Changes {
		fmt.Println(filepath.Base(change.Path))
	}
	// Output:
	// meminspect.ids
	// meminspect_gen.go
}
