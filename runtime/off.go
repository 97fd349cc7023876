//go:build meminspect_off

package meminspect

import (
	"iter"
	"time"

	"github.com/meminspect/meminspect/runtime/internal/builtin"
)

// With the tag meminspect_off the functions of this package do nothing: what
// they would register, a capture does not find. A program built with it holds
// nothing of the package.

// Off says that the program was built with the tag meminspect_off.
const Off = true

func Link(*Table) {}

func Register[T any](id ID, _ *T, _ ...Option) (ID, error)                { return id, nil }
func RegisterSlice[T any](id ID, _ []T, _ ...Option) (ID, error)          { return id, nil }
func RegisterString(id ID, _ string, _ ...Option) (ID, error)             { return id, nil }
func RegisterForeign(id ID, _ uintptr, _ uint64, _ ...Option) (ID, error) { return id, nil }
func RegisterWeak[T any](id ID, _ *T, _ ...Option) (ID, error)            { return id, nil }
func Replace[T any](id ID, _ *T, _ ...Option) (ID, error)                 { return id, nil }
func ReplaceSlice[T any](id ID, _ []T, _ ...Option) (ID, error)           { return id, nil }
func ReplaceString(id ID, _ string, _ ...Option) (ID, error)              { return id, nil }

func RegisterBuiltin(builtin.Token, ID, string, []byte) error { return nil }

func RegisterRing(builtin.Token, string, uint32, []byte) (remove func()) { return func() {} }

func Unregister(ID) error                   { return nil }
func UnregisterAll(...ID) error             { return nil }
func UnregisterPointer[T any](*T) error     { return nil }
func UnregisterRange(uintptr, uint64) error { return nil }

// A Spec is a registration yet to be made.
type Spec struct{}

func Value[T any](ID, *T, ...Option) Spec     { return Spec{} }
func Elements[T any](ID, []T, ...Option) Spec { return Spec{} }
func RegisterAll(specs ...Spec) ([]ID, error) { return make([]ID, len(specs)), nil }

func New[T any](id ID, _ ...Option) (*T, ID, error)          { return new(T), id, nil }
func Make[T any](id ID, n int, _ ...Option) ([]T, ID, error) { return make([]T, max(n, 0)), id, nil }
func Free[T any](*T) error                                   { return nil }
func FreeSlice[T any]([]T) error                             { return nil }

func Mark[T any](_ []T, _, _ int, _ ...Option) (ID, error) { return 0, nil }
func Clear[T any](_ []T, _, _ int) error                   { return nil }

func Exclude[T any](*T) (ID, error)              { return 0, nil }
func ExcludeSlice[T any]([]T) (ID, error)        { return 0, nil }
func HasExclusions() bool                        { return false }
func ExcludedRanges() []ExcludedSpan             { return nil }
func (r *Region) Excluded() []ExcludedSpan       { return nil }
func (r *Region) ExcludedValues() []ExcludedSpan { return nil }
func (r *Region) Parts() []Region                { return []Region{*r} }

func Regions() iter.Seq[Region] { return func(func(Region) bool) {} }
func Tables() iter.Seq[*Table]  { return func(func(*Table) bool) {} }
func Lookup(ID) (Region, bool)  { return Region{}, false }

func Attach(Backend) error             { return nil }
func Detach(Backend) error             { return nil }
func Notify(func(Event)) (stop func()) { return func() {} }

func NewHeartbeat(string, time.Duration) *Heartbeat { return nil }
func (h *Heartbeat) Beat()                          {}
func (h *Heartbeat) Stop()                          {}
func (h *Heartbeat) Name() string                   { return "" }
func (h *Heartbeat) Limit() time.Duration           { return 0 }
func (h *Heartbeat) Count() uint64                  { return 0 }
func Heartbeats() iter.Seq[*Heartbeat]              { return func(func(*Heartbeat) bool) {} }
func Supervised() bool                              { return false }
