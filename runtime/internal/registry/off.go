//go:build meminspect_off

package registry

import (
	"iter"
	"time"
	"unsafe"
)

// Off reports at compile time whether the program was built with the tag
// meminspect_off.
const Off = true

type Mode uint8

const (
	New Mode = iota
	Another
	Replace
)

type Spec struct {
	ID   uint64
	Slot Slot
	Mode Mode
}

type Block struct {
	Base *byte
	Size uint64
	Type *byte
}

type Registration struct{}

func CrashFD() int           { return 0 }
func SetCrashFD(int)         {}
func RequestSnapshot(string) {}

func SetTag(string, string) error     { return nil }
func Tags() iter.Seq2[string, string] { return func(func(string, string) bool) {} }

func Link(*Table)              {}
func Tables() iter.Seq[*Table] { return func(func(*Table) bool) {} }
func NameOf(uint64) string     { return "" }

func Add(id uint64, v *Slot, _ Mode) error {
	v.ID = id
	return nil
}
func AddAll([]Spec) (int, error)                     { return 0, nil }
func AddBuiltin(uint64, string, []byte) error        { return nil }
func AddRing(string, uint32, []byte) (remove func()) { return func() {} }
func Remove(uint64) bool                             { return true }
func RemoveAll([]uint64) (missing uint64, ok bool)   { return 0, true }
func RemoveIf(func(*Region) bool) bool               { return true }
func Drop(Registration)                              {}
func (s *Slot) Registration() Registration           { return Registration{} }
func OnHeap(unsafe.Pointer) bool                     { return true }

func Mark(Block, uint64, uint64, Slot) (uint64, error) { return 0, nil }
func Clear(Block, uint64, uint64) error                { return nil }

func Exclude(*Slot) error                        { return nil }
func HasExclusions() bool                        { return false }
func ExcludedRanges() []ExcludedSpan             { return nil }
func (r *Region) Excluded() []ExcludedSpan       { return nil }
func (r *Region) ExcludedValues() []ExcludedSpan { return nil }
func (r *Region) Parts() []Region                { return []Region{*r} }

func Regions() iter.Seq[Region]    { return func(func(Region) bool) {} }
func Lookup(uint64) (Region, bool) { return Region{}, false }

func Attach(Backend) error             { return nil }
func Detach(Backend) error             { return nil }
func Notify(func(Event)) (stop func()) { return func() {} }

func (h *Heartbeat) Start(string, time.Duration) {}
func (h *Heartbeat) Beat()                       {}
func (h *Heartbeat) Stop()                       {}
func (h *Heartbeat) Name() string                { return "" }
func (h *Heartbeat) Limit() time.Duration        { return 0 }
func (h *Heartbeat) Count() uint64               { return 0 }
func Heartbeats() iter.Seq[*Heartbeat]           { return func(func(*Heartbeat) bool) {} }
