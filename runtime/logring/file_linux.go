package logring

import (
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/shared"
)

// Open makes a ring of about size bytes in a file, which outlives the program
// however it ends. Records of an earlier run are kept until they give way; a
// ring of another size begins anew. The file's space is allocated here: a full
// disk is an error now and never later. A file that holds something else, or a
// ring of a later version, is refused.
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
