package heapreport

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func noteOf(t *testing.T, r *Report) *inspect.Core {
	t.Helper()
	data, err := r.note()
	if err != nil {
		t.Fatal(err)
	}
	return &inspect.Core{Extras: []note.Extra{{Name: note.ExtraHeap, Data: data}}}
}

// A note has all entries and the largest of the others, within its bound.
func TestNote(t *testing.T) {
	r := &Report{GoVersion: "go1.26", Heap: Heap{Bytes: 1 << 30}, Roots: []Root{}}
	for i := range 5000 {
		kind := "global"
		if i%10 == 9 {
			kind = "entry"
		}
		r.Roots = append(r.Roots, Root{Kind: kind, Name: "main.v", Retained: uint64(5000 - i)})
	}
	got, err := Recorded(noteOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Roots); n != 1500 || got.Roots[0].Retained != 5000 || got.Roots[n-1].Retained != 1 {
		t.Errorf("%d roots, the last %+v", n, got.Roots[n-1])
	}
	got.Roots, r.Roots = nil, nil
	if !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, not %+v", got, r)
	}
}

// Numbers that no heap has are an error, and no report divides by them.
func TestNoteWithImpossibleNumbers(t *testing.T) {
	for _, r := range []*Report{
		{Roots: []Root{{Kind: "entry", Name: "main.v", Retained: 1}}},
		{Heap: Heap{Bytes: 10}, Roots: []Root{{Kind: "entry", Name: "main.v", Retained: math.MaxUint64 / 50}}},
		{Heap: Heap{Bytes: math.MaxUint64}, Roots: []Root{}},
		{Roots: []Root{}, Leaks: &Leaks{Count: -1}},
		{Roots: []Root{}, Leaks: &Leaks{Count: 2, Groups: []LeakGroup{{Count: 1, IDs: []string{"1"}}}}},
		{Roots: []Root{}, Leaks: &Leaks{Count: 1, Groups: []LeakGroup{{Count: 1, IDs: []string{"1", "2"}}}}},
		{Roots: []Root{}, Leaks: &Leaks{Count: 0, Groups: []LeakGroup{{Count: math.MaxInt}, {Count: math.MinInt}}}},
	} {
		if got, err := Recorded(noteOf(t, r)); err == nil {
			t.Errorf("%+v is accepted: %+v", r, got)
		}
	}
	empty := &Report{Roots: []Root{{Kind: "entry", Name: "main.v"}}}
	if got, err := Recorded(noteOf(t, empty)); err != nil || len(got.Holders(3)) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A capture may read again: what the reading before found, or could not read in time, is
// forgotten.
func TestReadAgain(t *testing.T) {
	proc, err := process.Open(start(t, "GOTOOLCHAIN=local"))
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	over, end := context.WithCancel(t.Context())
	cut := func(string, uint64, uint64) { end() } // when the totals are there
	r, err := Reader{Options{Progress: cut}}.OfProcess(t.Context(), proc)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stopped, err := process.Stop(t.Context(), proc, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Read(over, stopped.Threads)
	partial := r.(*reading).result.Partial
	err = errors.Join(err, r.Read(t.Context(), stopped.Threads))
	stopped.Resume()
	if !partial {
		t.Error("the first reading is whole")
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.Note()
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Partial || len(got.Roots) == 0 {
		t.Errorf("partial %v, %d roots", got.Partial, len(got.Roots))
	}
}
