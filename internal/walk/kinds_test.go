package walk_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
)

func TestMain(m *testing.M) {
	status := m.Run()
	kinds.Cleanup()
	os.Exit(status)
}

func config(p *kinds.Program) walk.Config {
	cfg := walk.Config{Memory: p.Mem, Types: p.Types, Version: p.Prog.Version, Main: "kinds"}
	for _, m := range p.Prog.Modules {
		cfg.Text = append(cfg.Text, m.Text)
		cfg.Image = append(cfg.Image, memory.Range{Start: m.Text.Start, End: m.End})
	}
	for _, v := range p.Vars {
		cfg.Roots = append(cfg.Roots, walk.Root{Name: v.Name, Addr: v.Addr, Type: v.Type, Depth: walk.Unlimited})
	}
	return cfg
}

// Every variable of every kind is walked completely, and no check fails on
// valid memory.
func TestEveryKindIsComplete(t *testing.T) {
	for _, b := range []kinds.Build{{}, {Toolchain: "go1.23.12"}} {
		t.Run(b.String(), func(t *testing.T) {
			p := kinds.Attach(t, kinds.Start(t, kinds.Make(t, b)), nil)
			cfg := config(p)
			start := time.Now()
			res, err := walk.Walk(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d variables: %d bytes in %d ranges, %d types, %+v in %v", len(p.Vars), res.Captured().Size(), len(res.Captured()), len(res.Types), res.Stats, time.Since(start))
			for i, end := range res.Roots {
				if end.State != walk.Complete {
					t.Errorf("%s: %v %v", cfg.Roots[i].Name, end.State, end.Records)
				}
				if own := memory.RangeOf(cfg.Roots[i].Addr, cfg.Roots[i].Type.Size); !res.Captured().Contains(own) {
					t.Errorf("%s: its own memory %v is not captured", cfg.Roots[i].Name, own)
				}
			}
		})
	}
}
