package process

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// An Image is the program that a process ran at some moment. exec replaces it
// and keeps the process ID.
type Image struct {
	process *Process
	maps    *os.File // refers to the address space of the moment when it was opened
}

// Image returns the program that the process currently runs.
func (p *Process) Image() (*Image, error) {
	f, err := os.Open(p.path("maps"))
	if err != nil {
		return nil, fmt.Errorf("program of process %d: %w", p.PID, gone(err))
	}
	return &Image{p, f}, nil
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
func (i *Image) Close() error { return i.maps.Close() }
