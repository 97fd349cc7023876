package main

import (
	"fmt"
	"io"

	"github.com/meminspect/meminspect/internal/inspect"
)

// openCore opens a core for a command that reads it, and warns of one that is
// cut short: what stood in the missing part is told as not captured.
func openCore(stderr io.Writer, verb, path string) (*inspect.Core, error) {
	core, err := inspect.Open(path)
	if err != nil {
		return nil, err
	}
	if n := core.Missing(); n > 0 {
		fmt.Fprintf(stderr, "meminspect: %s: %s is truncated: %d bytes are missing, and what they held shows as not captured\n", verb, path, n)
	}
	return core, nil
}
