package process

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// An Image is the program that a process ran at some moment. exec replaces it
// and keeps the process ID.
type Image struct {
	process *Process
	maps    *os.File // refers to the address space of the moment when it was opened
	pages   *os.File // its pagemap, nil if that cannot be read
	data    []memory.Range
}

// Image returns the program that the process currently runs.
func (p *Process) Image() (*Image, error) {
	f, err := os.Open(p.path("maps"))
	if err != nil {
		return nil, fmt.Errorf("program of process %d: %w", p.PID, gone(err))
	}
	pages, err := os.Open(p.path("pagemap"))
	if err != nil {
		pages = nil
	}
	return &Image{process: p, maps: f, pages: pages}, nil
}

// left reports whether all threads have left that program. The kernel
// frees an address space with its last thread, and its file of mappings is then
// empty.
func (i *Image) left() bool {
	var b [1]byte
	_, err := i.maps.ReadAt(b[:], 0)
	return errors.Is(err, io.EOF)
}

// Check returns ErrReplaced if the process now runs another program, and
// ErrGone if it has ended.
func (i *Image) Check() error {
	if !i.left() {
		return nil
	}
	if stat, err := i.process.Stat(); err != nil || stat.Dead() {
		return ErrGone
	}
	return ErrReplaced
}

// Close closes the image's files.
func (i *Image) Close() error {
	if i.pages != nil {
		i.pages.Close()
	}
	return i.maps.Close()
}
