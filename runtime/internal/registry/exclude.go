//go:build !meminspect_off

package registry

import (
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Exclude keeps the memory of v out of every capture until its ID is removed,
// and sets v.ID to a new dynamic ID.
func Exclude(v *Slot) error {
	v.Kind = anchor.SlotExcluded
	return Add(0, v, New)
}

// exclusions is the excluded memory, collected from the tables and the slots.
type exclusions struct {
	ranges  []excludedRange
	types   map[reflect.Type]string         // value: the rule
	fields  map[reflect.Type][]Exclusion    // of that type
	generic map[string][]Exclusion          // by type name without brackets
	spans   map[reflect.Type][]ExcludedSpan // cached results
	main    string                          // import path of package main, "" if unknown
}

type excludedRange struct {
	from, to uint64
	rule     string
	typ      reflect.Type
}

// exclusionCount counts the current exclusions: zero is the common case and
// costs nothing. exclusionVersion counts their changes.
var exclusionCount, exclusionVersion atomic.Int64

// known caches the exclusions of one version. Its mutex is the last one locked
// before the registry's.
var known struct {
	sync.Mutex
	version int64
	*exclusions
}

func excludedChanged(n int) {
	exclusionCount.Add(int64(n))
	exclusionVersion.Add(1)
}

// HasExclusions reports whether any exclusion exists.
func HasExclusions() bool { return exclusionCount.Load() != 0 }

// ExcludedRanges returns the memory that exclusions name by address: excluded
// variables and arguments of Exclude. Offset is an address here, and Type is
// the type of one of the consecutive values there.
func ExcludedRanges() []ExcludedSpan {
	var out []ExcludedSpan
	if HasExclusions() {
		known.Lock()
		defer known.Unlock()
		for _, r := range knownExclusions().ranges {
			out = append(out, ExcludedSpan{r.from, r.to - r.from, r.rule, r.typ})
		}
	}
	return out
}

// knownExclusions returns the current exclusions; the caller holds known's
// mutex.
func knownExclusions() *exclusions {
	if v := exclusionVersion.Load(); known.exclusions == nil || known.version != v {
		known.version, known.exclusions = v, gatherExclusions()
	}
	return known.exclusions
}

// Excluded returns the parts of the region that no capture may contain, sorted
// and without overlaps, with offsets from the region's start. If any exclusion
// exists, memory of unknown type is excluded completely.
func (r *Region) Excluded() []ExcludedSpan {
	if !HasExclusions() {
		return nil
	}
	known.Lock()
	defer known.Unlock()
	return knownExclusions().of(r)
}

// ExcludedValues returns the values in the region that exclusions of types and
// fields cover, each with its Type, so that callers can find the memory that
// the values refer to. Offsets count from the region's start.
func (r *Region) ExcludedValues() []ExcludedSpan {
	t := r.Type()
	if !HasExclusions() || t == nil || r.Kind == anchor.SlotForeign || t.Size() == 0 {
		return nil
	}
	known.Lock()
	defer known.Unlock()
	x := knownExclusions()
	if r.Kind != anchor.SlotSlice {
		return x.values(nil, t, 0)
	}
	var out []ExcludedSpan
	for at := uint64(0); at+uint64(t.Size()) <= r.Size; at += uint64(t.Size()) {
		n := len(out)
		if out = x.values(out, t, at); len(out) == n {
			break // the next elements have none either
		}
	}
	return out
}

// Parts returns what captures and backends may contain of the region: the
// region itself, or the parts that its exclusions leave, without types.
func (r *Region) Parts() []Region {
	holes := r.Excluded()
	if len(holes) == 0 {
		return []Region{*r}
	}
	var parts []Region
	whole := *r
	at := uint64(0)
	for i := 0; i <= len(holes); i++ {
		end := r.Size
		if i < len(holes) {
			end = holes[i].Offset
		}
		if at < end {
			p := *r
			p.addr += at
			p.Size = end - at
			p.typ = nil
			p.Of = &whole
			p.Part = len(parts) + 1
			parts = append(parts, p)
		}
		if i < len(holes) {
			at = holes[i].Offset + holes[i].Size
		}
	}
	return parts
}
