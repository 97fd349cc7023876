package logring

import (
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/shared"
)

// Open makes a ring of about size bytes in a file, which outlives the program
// in every case. It keeps records of an earlier run until they are overwritten;
// a ring of another size starts empty. Open allocates the file's space, so that
// a full disk is an error of Open and not of a later write. It rejects a file
// of another format, or a ring of a later version.
func Open(path string, size int) (*Ring, error) {
	if registry.Off {
		return New(0), nil
	}
	if !shared.LittleEndian() {
		return nil, ErrSystem
	}
	length := logring.HeaderSize + max(size, leastSize)&^7
	m, err := shared.Open(path, length, logring.Is)
	if err != nil {
		return nil, fmt.Errorf("log ring: %w", err)
	}
	r := newRing(m.Bytes)
	r.release = m.Release
	return r, nil
}
