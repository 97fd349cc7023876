//go:build !meminspect_off

package meminspect

import (
	"testing"
	"time"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

func BenchmarkRegisterUnregister(b *testing.B) {
	var x [8]int
	for _, standing := range []int{0, 10_000} {
		b.Run(map[int]string{0: "alone", 10_000: "among-10000"}[standing], func(b *testing.B) {
			for range standing {
				if _, err := Register(IDDynamic, &x); err != nil {
					b.Fatal(err)
				}
			}
			defer withdrawAll(b)
			b.ReportAllocs()
			for b.Loop() {
				id, err := Register(IDDynamic, &x)
				if err != nil {
					b.Fatal(err)
				}
				if err := Unregister(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRegister includes the chunks: it measures a region that stays
// registered.
func BenchmarkRegister(b *testing.B) {
	var x int
	defer withdrawAll(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := Register(IDDynamic, &x); err != nil {
			b.Fatal(err)
		}
		if n++; n == 50_000 {
			b.StopTimer()
			withdrawAll(b)
			n = 0
			b.StartTimer()
		}
	}
}

func BenchmarkRegisterSlice(b *testing.B) {
	x := make([]int, 100)
	b.ReportAllocs()
	for b.Loop() {
		id, err := RegisterSlice(IDDynamic, x)
		if err != nil {
			b.Fatal(err)
		}
		if err := Unregister(id); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLink(b *testing.B) {
	table := &registry.Table{Entries: make([]registry.Entry, 1000)}
	b.ReportAllocs()
	for b.Loop() {
		registry.Link(table)
		registry.Unlink(table)
	}
}

func BenchmarkBeat(b *testing.B) {
	h := NewHeartbeat("bench", time.Second)
	defer h.Stop()
	b.ReportAllocs()
	for b.Loop() {
		h.Beat()
	}
}

// BenchmarkNotify measures a registration and its removal with a listener.
func BenchmarkNotify(b *testing.B) {
	var x int
	n := 0
	stop := Notify(func(Event) { n++ })
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		id, err := Register(IDDynamic, &x)
		if err != nil {
			b.Fatal(err)
		}
		if err := Unregister(id); err != nil {
			b.Fatal(err)
		}
	}
}
