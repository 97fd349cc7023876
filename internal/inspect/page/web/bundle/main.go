// Command bundle writes the script and the style of the page. With -files it prints the
// files of node_modules that belong into the repository.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect/page/web"
)

func main() {
	files := flag.Bool("files", false, "print the files of node_modules that are read, one a line")
	flag.Parse()
	do := write
	if *files {
		do = list
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func list() error {
	files, err := web.Files(".")
	if err != nil {
		return err
	}
	_, err = fmt.Println(strings.Join(files, "\n"))
	return err
}

// write leaves a file that is current as it is.
func write() error {
	script, style, err := web.Bundle(".")
	if err != nil {
		return err
	}
	for path, text := range map[string][]byte{"../app.js": script, "../app.css": style} {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
