// Package marks reads what a program marked for inspection, from outside and
// without its help: the static anchor, the tables that generated code laid
// down, the regions registered at run time, heartbeats and log rings. The
// layouts are those of package runtime/format/anchor.
//
// All of it is plain memory that a dying or hostile program may have
// overwritten: lists may be cyclic and lengths may lie. What cannot be believed
// is left out, with a reason.
package marks

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/module"
)

// ErrNoAnchor is returned for a program that does not embed the runtime, or
// whose linker left it out since nothing used it.
var ErrNoAnchor = errors.New("the program has no anchor: it does not import the meminspect runtime, or nothing in it is annotated or registered")

// Bounds of what is believed.
const (
	tablesMost     = 1 << 16
	recordsMost    = 1 << 21 // entries and the like of all tables
	chunksMost     = 1 << 16
	heartbeatsMost = 1 << 12
	ringsMost      = 1 << 10
	nameMost       = 64 << 10
)

// An Anchor is where a program's marks are found. It is static memory: finding
// it takes no running program, and a program that is stuck in its first init
// has it too.
type Anchor struct {
	Addr   target.Address
	tables []target.Address // found by their magic, linked or not
}

var le = binary.LittleEndian

// Find looks for the anchor and the tables by their magic values, in the
// initialised data of every module, which is where linkers lay them. It fails
// with ErrNoAnchor when there is none; the tables may be there all the same in
// the *Anchor, which is never nil.
func Find(prog *module.Program) (*Anchor, error) {
	a := &Anchor{}
	var unknown error
	r := target.Reader{Memory: prog.Mem}
	for _, at := range search(prog, anchor.AnchorMagic0, anchor.AnchorMagic1) {
		version, err := r.Uint32(at + anchor.AnchorVersionOff)
		ptr, perr := r.Uint32(at + anchor.AnchorPtrSize)
		switch {
		case err != nil || perr != nil || ptr != target.PtrSize:
			continue // a copy of the constants, not the anchor
		case version != anchor.AnchorVersion:
			unknown = fmt.Errorf("anchor at %v: layout version %d, this tool reads %d: use a newer meminspect", at, version, anchor.AnchorVersion)
		case a.Addr == 0:
			a.Addr = at
		}
	}
	a.tables = search(prog, anchor.TableMagic0, anchor.TableMagic1)
	switch {
	case a.Addr != 0:
		return a, nil
	case unknown != nil:
		return a, unknown
	}
	return a, ErrNoAnchor
}

// search returns where the two words stand in the modules' initialised data.
func search(prog *module.Program, magic0, magic1 uint64) []target.Address {
	pattern := le.AppendUint64(le.AppendUint64(nil, magic0), magic1)
	var found []target.Address
	for _, m := range prog.Modules {
		var data target.Spliced
		for _, part := range []target.Range{m.NoPtrData, m.Data} {
			data.Put(target.Segment{Range: part, Write: true}, prog.Mem)
		}
		for at := range target.Search(&data, pattern, 8, nil) {
			found = append(found, at)
		}
	}
	return found
}

// State is the part of the anchor that moves.
type State struct {
	Seq       uint64 // odd while dynamic regions change
	Used      uint64 // slots of dynamic regions
	Snapshots uint64 // asked for from inside so far
	Reason    string // of the latest of them
	CrashFD   int64

	tables, chunks, heartbeats, rings target.Address
}

// State reads the anchor.
func (a *Anchor) State(mem target.Memory) (*State, error) {
	if a.Addr == 0 {
		return nil, ErrNoAnchor
	}
	r := target.Reader{Memory: mem}
	b, err := r.Bytes(a.Addr, anchor.AnchorSize, anchor.AnchorSize)
	if err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	if le.Uint64(b) != anchor.AnchorMagic0 || le.Uint64(b[8:]) != anchor.AnchorMagic1 || le.Uint32(b[anchor.AnchorVersionOff:]) != anchor.AnchorVersion {
		return nil, fmt.Errorf("anchor at %v: it was overwritten", a.Addr)
	}
	word := func(off int) target.Address { return target.Address(le.Uint64(b[off:])) }
	s := &State{
		Seq:        le.Uint64(b[anchor.AnchorSeq:]),
		Used:       le.Uint64(b[anchor.AnchorRegions:]),
		Snapshots:  le.Uint64(b[anchor.AnchorSnapshots:]),
		CrashFD:    int64(le.Uint64(b[anchor.AnchorCrashFD:])),
		tables:     word(anchor.AnchorTables),
		chunks:     word(anchor.AnchorChunks),
		heartbeats: word(anchor.AnchorHeartbeats),
		rings:      word(anchor.AnchorRings),
	}
	s.Reason, _ = r.Text(word(anchor.AnchorReason), le.Uint64(b[anchor.AnchorReason+8:]), nameMost)
	return s, nil
}

// list follows a list of which each element of size bytes begins with its
// magic, if any, and has the next one's address at next. It stops at a cycle.
func list(mem target.Memory, first target.Address, size, next, most int, each func(at target.Address, b []byte) error) error {
	seen := map[target.Address]bool{}
	r := target.Reader{Memory: mem}
	for at := first; at != 0; {
		if seen[at] || len(seen) == most {
			return fmt.Errorf("a list of %d elements that does not end", len(seen))
		}
		seen[at] = true
		b, err := r.Bytes(at, uint64(size), uint64(size))
		if err != nil {
			return err
		}
		if err := each(at, b); err != nil {
			return err
		}
		at = target.Address(le.Uint64(b[next:]))
	}
	return nil
}

// text reads the string whose header is b.
func text(mem target.Memory, b []byte) (string, error) {
	return target.Reader{Memory: mem}.Text(target.Address(le.Uint64(b)), le.Uint64(b[8:]), nameMost)
}

// texts reads many strings of a record; the first error ends it.
func texts(mem target.Memory, b []byte, into map[int]*string) error {
	for off, s := range into {
		var err error
		if *s, err = text(mem, b[off:]); err != nil {
			return err
		}
	}
	return nil
}

// An Any is an interface value in the program: the address of the runtime type
// and the data word.
type Any struct {
	Type, Data target.Address
}

func anyAt(b []byte) Any {
	return Any{target.Address(le.Uint64(b)), target.Address(le.Uint64(b[8:]))}
}
