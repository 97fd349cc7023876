//go:build !meminspect_off

package meminspect

import (
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/builtin"
)

// RegisterBuiltin registers data under a reserved ID, in the place of what was
// there. Its first argument keeps it to the packages of this module.
func RegisterBuiltin(_ builtin.Token, id ID, name string, data []byte) error {
	v := &slot{
		kind: anchor.SlotSlice, id: id, base: unsafe.SliceData(data), size: uint64(len(data)),
		typ: typeWord((*byte)(nil)), name: name,
	}
	if v.size == 0 {
		return &RegionError{Op: opRegister, ID: id, Name: name, Err: ErrEmpty}
	}
	var c change
	c.begin()
	c.removeAll(id)
	if _, err := c.put(v); err != nil {
		c.end()
		return &RegionError{Op: opRegister, ID: id, Name: name, Err: err}
	}
	return c.end()
}
