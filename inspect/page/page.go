// Package page writes cores as one HTML file for people: the summary, goroutines, waits,
// values, memory, log and differences. The file needs no network, and opens from disk.
package page

import (
	"io"

	"github.com/meminspect/meminspect/inspect"
	internal "github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/opened"
	"github.com/meminspect/meminspect/internal/inspect/page"
)

// Write writes the page of one or more cores, the earliest first. Each is compared with
// the one that follows.
func Write(w io.Writer, cores ...*inspect.Core) error {
	programs := make([]*internal.Program, len(cores))
	for i, c := range cores {
		programs[i] = opened.Program(c)
	}
	return page.Write(w, programs...)
}
