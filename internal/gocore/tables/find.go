package tables

import (
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Found is what a search of memory gave.
type Found struct {
	Tables  []*Table // sorted by address, linked or not
	Anchors []*Anchor
	// Problems are about places that have a magic and could not be read
	// after it, for one because of their version (*VersionError).
	Problems []error
}

// Find searches the writable segments of mem, where the linker puts tables and
// anchor. Give it the segments of executable files: a heap, or a buffer of a
// program that reads others, may contain a copy.
func Find(mem memory.Mapped) Found { return FindIn(mem, mem) }

// FindIn is Find for the segments of where, a part of the program's memory
// mem: what is found there points into all of mem.
func FindIn(where memory.Mapped, mem memory.Memory) Found {
	var found Found
	d := newDecoder(mem)
	writable := func(s memory.Segment) bool { return s.Write }
	for addr := range memory.Search(where, magic(anchor.TableMagic0, anchor.TableMagic1), 8, writable) {
		t, err := d.table(addr)
		if err != nil {
			found.Problems = append(found.Problems, err)
			if len(found.Problems) > maxProblems {
				return found
			}
			continue
		}
		found.Tables = append(found.Tables, t)
	}
	for addr := range memory.Search(where, magic(anchor.AnchorMagic0, anchor.AnchorMagic1), 8, writable) {
		a, err := d.anchor(addr)
		if err != nil {
			found.Problems = append(found.Problems, err)
			if len(found.Problems) > maxProblems {
				return found
			}
			continue
		}
		found.Anchors = append(found.Anchors, a)
	}
	return found
}

// maxProblems ends the search of memory that is full of magics.
const maxProblems = 1000

func magic(low, high uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, low), high)
}

// Linked reads the tables that the program linked, the latest first. An error
// comes with those before it.
func Linked(mem memory.Memory, a *Anchor) ([]*Table, error) {
	d := newDecoder(mem)
	var all []*Table
	err := d.list(a.Tables, "tables", func(addr memory.Address) (memory.Address, error) {
		t, err := d.table(addr)
		if err != nil {
			return 0, err
		}
		all = append(all, t)
		return t.Next, nil
	})
	return all, err
}
