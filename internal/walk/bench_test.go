package walk_test

import (
	"context"
	"testing"

	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
)

// A graph of a million objects of four words and a string each, in another
// process; for comparison, a plain copy of as many bytes.
func BenchmarkWalkMillionObjects(b *testing.B) {
	p := kinds.Attach(b, kinds.Start(b, kinds.Make(b, kinds.Build{}), "graph=1000000"), nil)
	cfg := config(p)
	for i, v := range p.Vars {
		if v.Name == "main.vGraph" {
			cfg.Roots = cfg.Roots[i : i+1]
			break
		}
	}
	var res *walk.Result
	for b.Loop() {
		var err error
		if res, err = walk.Walk(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
	}
	if res.Stats.Values < 1_000_000 || res.Roots[0].State != walk.Complete {
		b.Fatalf("%+v, %+v", res.Stats, res.Roots[0])
	}
	b.ReportMetric(float64(res.Captured().Size())/1e6, "MB-captured")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/walk")
}

func BenchmarkCopySameBytes(b *testing.B) {
	p := kinds.Attach(b, kinds.Start(b, kinds.Make(b, kinds.Build{}), "graph=1000000"), nil)
	cfg := config(p)
	res, err := walk.Walk(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	all := res.Captured().Joined(4096, 0)
	buf := make([]byte, 64<<20)
	for b.Loop() {
		for _, r := range all {
			for at := r.Start; at < r.End; at = at.Add(uint64(len(buf))) {
				part := buf[:min(uint64(len(buf)), uint64(r.End-at))]
				if _, err := p.Mem.ReadAt(part, at); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// All variables of every kind: what a capture of a typical program walks.
func BenchmarkWalkEveryKind(b *testing.B) {
	p := kinds.Attach(b, kinds.Start(b, kinds.Make(b, kinds.Build{})), nil)
	cfg := config(p)
	for b.Loop() {
		if _, err := walk.Walk(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
	}
}
