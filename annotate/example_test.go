package annotate_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"log"

	"github.com/meminspect/meminspect/annotate"
)

// A directive that does not parse gives diagnostics with positions and fixes.
func ExampleParseLine() {
	line, _ := annotate.ParseLine(1, "//meminspect:entry name=Queue depth=4 budget=64KiB")
	fmt.Println(line.Kind, line.Name, line.Depth, line.Budget)

	_, diagnostics := annotate.ParseLine(1, "// meminspect:entry")
	fmt.Println(diagnostics[0].Code, diagnostics[0].Fix.NewText)
	// Output:
	// entry Queue 4 65536
	// near-miss //meminspect:entry
}

// Each declared variable gets its own annotation.
func ExampleCollect() {
	const source = `package shop

//meminspect:entry
var requests, failures int

type Session struct {
	User string
	//meminspect:exclude
	Token []byte
}
`
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, "shop.go", source, parser.ParseComments)
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range annotate.Collect(fset, syntax).Annotations {
		fmt.Println(fset.Position(a.Pos), a.Kind, a.Expr())
	}
	// Output:
	// shop.go:3:1 entry requests
	// shop.go:3:1 entry failures
	// shop.go:8:2 exclude Session.Token
}
