package agent

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// headRegions are the regions of a table that are the head of a core image: its
// headers and notes, and vmcoreinfo.
const headRegions = 2

// A head is the first region of a table, and the table of the other regions in it.
type head struct {
	elf           []byte
	table, marked []byte // notes in elf; marked is nil if there is none
	regions       []note.Region
}

// readHead returns the head of a table's image, nil if its first regions are not
// a head that lists the others.
func readHead(mem memory.Memory, regions []minidump.Region) *head {
	const most = 64 << 20
	if len(regions) < headRegions || regions[0].Size > most || regions[1].Size > most {
		return nil
	}
	b := make([]byte, regions[0].Size+regions[1].Size)
	for i, part := range [][]byte{b[:regions[0].Size], b[regions[0].Size:]} {
		if _, err := mem.ReadAt(part, memory.Address(regions[i].Address)); err != nil {
			return nil
		}
	}
	core, err := elfcore.Open(readerAt(b), int64(len(b)))
	if err != nil {
		return nil
	}
	h := &head{elf: b[:regions[0].Size]}
	desc, _ := core.Note(note.Owner, note.TypeRegions)
	if h.regions, err = note.DecodeRegions(desc); err != nil || len(h.regions) != len(regions)-headRegions {
		return nil
	}
	for i, r := range h.regions {
		if of := regions[i+headRegions]; r.Addr != of.Address || (r.Size+3)&^3 != of.Size {
			return nil
		}
	}
	h.table, h.marked = h.find(core, note.TypeRegions), h.find(core, note.TypeMarked)
	if h.table == nil {
		return nil
	}
	return h
}

// find returns the descriptor of a note as a part of the head, nil if there is none.
func (h *head) find(core *elfcore.File, kind uint32) []byte {
	desc, ok := core.Note(note.Owner, kind)
	if !ok {
		return nil
	}
	whole := elfcore.AppendNote(nil, elfcore.Note{Name: note.Owner, Type: kind, Desc: desc})
	i := bytes.Index(h.elf, whole)
	if i < 0 {
		return nil
	}
	at := i + bytes.LastIndex(whole, desc)
	return h.elf[at : at+len(desc)]
}

// write writes the file of the head. The statuses of the regions include what could
// not be read, and what changed while it was copied.
func (h *head) write(copies []Copy) error {
	var holes []elfcore.Range
	for i := range h.regions {
		r, c := &h.regions[i], &copies[i+headRegions]
		holes = append(holes, c.holes...)
		r.Captured -= min(c.Holes, r.Captured)
		switch {
		case c.Holes > 0 && c.Holes == r.Size:
			r.Status |= note.Unreadable
		case c.Holes > 0:
			r.Status |= note.Holes
		}
		if c.Torn {
			r.Status |= note.Torn
		}
	}
	table := note.NewRegionTable(h.table, len(h.regions))
	for i := range h.regions {
		if !table.Append(&h.regions[i]) {
			return fmt.Errorf("%s: no room for region %s", copies[0].File, h.regions[i].Name)
		}
	}
	copy(h.marked, markedNote(holes, len(h.marked)))
	return os.WriteFile(copies[0].File, h.elf, 0o600)
}

// markedNote returns the note of memory that could not be read, of exactly size
// bytes; what does not fit is left out.
func markedNote(holes []elfcore.Range, size int) []byte {
	var all []note.MarkedRange
	for _, r := range elfcore.Merge(slices.Clone(holes), 0) {
		all = append(all, note.MarkedRange{Addr: r.Start, Size: r.Len(), Why: note.MarkedHole})
	}
	for {
		b := note.EncodeMarked(all)
		if len(b) <= size {
			return append(b, make([]byte, size-len(b))...)
		}
		if len(all) == 0 {
			return nil
		}
		all = all[:len(all)-1]
	}
}
