package tables

import (
	"fmt"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// An Anchor is the place from which all that a program registers is found.
type Anchor struct {
	Addr       memory.Address
	Version    uint32
	Seq        uint64 // odd while the dynamic regions change
	Tables     memory.Address
	Chunks     memory.Address
	Regions    uint64 // used slots
	Heartbeats memory.Address
	Rings      memory.Address
	Tags       memory.Address
	CrashFD    int64
	Snapshots  uint64
	Reason     string // of the latest snapshot
}

// ReadAnchor reads the anchor at addr.
func ReadAnchor(mem memory.Memory, addr memory.Address) (*Anchor, error) {
	return newDecoder(mem).anchor(addr)
}

func (d *decoder) anchor(addr memory.Address) (*Anchor, error) {
	r, err := d.record(addr, anchor.AnchorSize)
	if err != nil {
		return nil, fmt.Errorf("anchor at %v: %w", addr, err)
	}
	if r.u64(anchor.AnchorMagic) != anchor.AnchorMagic0 || r.u64(anchor.AnchorMagic+8) != anchor.AnchorMagic1 {
		return nil, fmt.Errorf("anchor at %v: it does not begin with the anchor's magic", addr)
	}
	if v := r.u32(anchor.AnchorVersionOff); v != anchor.AnchorVersion {
		return nil, &VersionError{"anchor", addr, v, anchor.AnchorVersion}
	}
	if size := r.u32(anchor.AnchorPtrSize); size != memory.PtrSize {
		return nil, fmt.Errorf("anchor at %v: of a program with pointers of %d bytes", addr, size)
	}
	a := &Anchor{
		Addr:       addr,
		Version:    anchor.AnchorVersion,
		Seq:        r.u64(anchor.AnchorSeq),
		Tables:     r.pointer(anchor.AnchorTables),
		Chunks:     r.pointer(anchor.AnchorChunks),
		Regions:    r.u64(anchor.AnchorRegions),
		Heartbeats: r.pointer(anchor.AnchorHeartbeats),
		Rings:      r.pointer(anchor.AnchorRings),
		Tags:       r.pointer(anchor.AnchorTags),
		CrashFD:    int64(r.u64(anchor.AnchorCrashFD)),
		Snapshots:  r.u64(anchor.AnchorSnapshots),
	}
	// Its two words are written one after the other: a program that is not
	// stopped may show a reason that cannot be read, and no harm done.
	a.Reason = r.text(anchor.AnchorReason)
	return a, nil
}

// list follows a list of records in memory; visit returns the next one.
func (d *decoder) list(addr memory.Address, what string, visit func(memory.Address) (memory.Address, error)) error {
	seen := map[memory.Address]bool{}
	for addr != 0 {
		if seen[addr] {
			return fmt.Errorf("%s: the list comes back to %v", what, addr)
		}
		if len(seen) == maxCount {
			return fmt.Errorf("%s: more than %d", what, maxCount)
		}
		seen[addr] = true
		next, err := visit(addr)
		if err != nil {
			return err
		}
		addr = next
	}
	return nil
}

// A Heartbeat is a counter that the program must move.
type Heartbeat struct {
	Addr    memory.Address
	Name    string
	Limit   time.Duration // that may pass between two beats
	Count   uint64        // beats so far
	Running bool
}

// Heartbeats reads the program's heartbeats, the latest first. An error comes
// with those before it.
func Heartbeats(mem memory.Memory, a *Anchor) ([]Heartbeat, error) {
	d := newDecoder(mem)
	var all []Heartbeat
	err := d.list(a.Heartbeats, "heartbeats", func(addr memory.Address) (memory.Address, error) {
		r, err := d.record(addr, anchor.HeartbeatSize)
		if err != nil {
			return 0, fmt.Errorf("heartbeat at %v: %w", addr, err)
		}
		h := Heartbeat{
			Addr:    addr,
			Name:    r.text(anchor.HeartbeatName),
			Limit:   time.Duration(r.u64(anchor.HeartbeatLimit)),
			Count:   r.u64(anchor.HeartbeatCount),
			Running: r.u32(anchor.HeartbeatState) == 1,
		}
		if r.err != nil {
			return 0, fmt.Errorf("heartbeat at %v: %w", addr, r.err)
		}
		all = append(all, h)
		return r.pointer(anchor.HeartbeatNext), nil
	})
	return all, err
}

// A Ring describes a log ring; its bytes are logring's.
type Ring struct {
	Addr    memory.Address
	Name    string
	Version uint32
	Data    memory.Range
}

// Rings reads the program's log rings, the latest first. An error comes with
// those before it.
func Rings(mem memory.Memory, a *Anchor) ([]Ring, error) {
	d := newDecoder(mem)
	var all []Ring
	err := d.list(a.Rings, "log rings", func(addr memory.Address) (memory.Address, error) {
		r, err := d.record(addr, anchor.RingSize)
		if err != nil {
			return 0, fmt.Errorf("log ring at %v: %w", addr, err)
		}
		ring := Ring{
			Addr:    addr,
			Name:    r.text(anchor.RingName),
			Version: r.u32(anchor.RingVersion),
			Data:    memory.RangeOf(r.pointer(anchor.RingData), r.u64(anchor.RingBytes)),
		}
		if r.err != nil {
			return 0, fmt.Errorf("log ring at %v: %w", addr, r.err)
		}
		all = append(all, ring)
		return r.pointer(anchor.RingNext), nil
	})
	return all, err
}
