package walk_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// TestAudit: a region is complete only if everything it leads to is in the
// copy, whichever region paid for it.
func TestAudit(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	shared := makeList(5, "shared")
	captured := 7
	var v struct {
		first, second *list
		text          string
		opaque        unsafe.Pointer
		static        func()
		closure       func() int
		table         map[string]*list
		whole         int64
	}
	v.first, v.second, v.text = shared, shared, "some text"
	v.opaque = unsafe.Pointer(shared)
	v.static = runtime.GC
	v.closure = func() int { captured++; return captured }
	v.table = map[string]*list{"a": shared}
	roots := []walk.Root{
		rootOf(t, self.Types, &v.first, walk.Unlimited), rootOf(t, self.Types, &v.second, walk.Unlimited), rootOf(t, self.Types, &v.text, walk.Unlimited),
		rootOf(t, self.Types, &v.opaque, walk.Unlimited), rootOf(t, self.Types, &v.static, walk.Unlimited), rootOf(t, self.Types, &v.closure, walk.Unlimited),
		rootOf(t, self.Types, &v.table, walk.Unlimited), rootOf(t, self.Types, &v.whole, walk.Unlimited),
	}
	last := shared
	for last.Next != nil {
		last = last.Next
	}
	end := memory.RangeOf(memory.Address(uintptr(unsafe.Pointer(last))), uint64(unsafe.Sizeof(*last)))
	for _, c := range []struct {
		name string
		walk func(cfg *walk.Config)
		copy func(c *walk.Copy)
		want []note.Status // of the roots in order
	}{
		{"all is there", nil, nil, []note.Status{0, 0, 0, note.Untyped, 0, note.Untyped, 0, 0}},
		{"a depth", func(cfg *walk.Config) {
			for i := range cfg.Roots {
				cfg.Roots[i].Depth = 3
			}
		}, nil, []note.Status{note.Depth, note.Depth, 0, note.Untyped, 0, note.Untyped, note.Depth, 0}},
		{"the budget of the first that pays", func(cfg *walk.Config) { cfg.Roots[0].Budget = 200 }, nil,
			[]note.Status{note.Budget, note.Budget, 0, note.Untyped, 0, note.Untyped, note.Budget, 0}},
		{"everybody's budget", func(cfg *walk.Config) { cfg.Budget = 300 }, nil,
			[]note.Status{note.Budget, note.Budget, 0, note.Untyped, 0, note.Untyped, note.Budget, 0}},
		{"torn", nil, func(c *walk.Copy) { c.Torn = memory.Ranges{end} },
			[]note.Status{note.Torn, note.Torn, 0, note.Untyped, 0, note.Untyped, note.Torn, 0}},
		{"redacted", nil, func(c *walk.Copy) { c.Redacted = memory.Ranges{end} },
			[]note.Status{note.Redacted, note.Redacted, 0, note.Untyped, 0, note.Untyped, note.Redacted, 0}},
		{"a hole", nil, func(c *walk.Copy) { c.Holes = memory.Ranges{end} },
			[]note.Status{note.Holes, note.Holes, 0, note.Untyped, 0, note.Untyped, note.Holes, 0}},
		{"replaced while it was read", nil, func(c *walk.Copy) { c.Has, c.Otherwise = c.Has.Minus(memory.Ranges{end}), note.Torn },
			[]note.Status{note.Torn, note.Torn, 0, note.Untyped, 0, note.Untyped, note.Torn, 0}},
	} {
		cfg := walk.Config{Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: append([]walk.Root{}, roots...)}
		for _, m := range self.Prog.Modules {
			cfg.Image = append(cfg.Image, memory.Range{Start: m.Text.Start, End: m.End})
		}
		if c.walk != nil {
			c.walk(&cfg)
		}
		res, err := walk.Walk(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		copied := walk.Copy{Memory: self.Mem, Has: res.Captured(), Omissions: res.Omissions}
		if c.copy != nil {
			c.copy(&copied)
		}
		got, err := walk.Audit(context.Background(), cfg, &copied)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if got[i] != want {
				t.Errorf("%s: root %d is %v, not %v", c.name, i, got[i], want)
			}
		}
	}
	runtime.KeepAlive(&v)
}

// TestAuditTogether: what a root leads to does not depend on the other roots,
// which share objects with it.
func TestAuditTogether(t *testing.T) {
	p := kinds.Attach(t, kinds.Start(t, kinds.Make(t, kinds.Build{})), nil)
	cfg := config(p)
	res, err := walk.Walk(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		copied := walk.Copy{Memory: p.Mem, Has: res.Captured(), Omissions: res.Omissions, Otherwise: note.Depth}
		var torn, missing []memory.Range
		for range 20 {
			r := res.Captured()[random.IntN(len(res.Captured()))]
			torn = append(torn, memory.RangeOf(r.Start, min(8, r.Size())))
			r = res.Captured()[random.IntN(len(res.Captured()))]
			missing = append(missing, memory.RangeOf(r.Start, min(16, r.Size())))
		}
		copied.Torn, copied.Has = memory.RangesOf(torn...), copied.Has.Minus(memory.RangesOf(missing...))
		together, err := walk.Audit(t.Context(), cfg, &copied)
		if err != nil {
			t.Fatal(err)
		}
		differ := map[note.Status]bool{}
		for i, root := range cfg.Roots {
			alone := cfg
			alone.Roots = []walk.Root{root}
			got, err := walk.Audit(t.Context(), alone, &copied)
			if err != nil {
				t.Fatal(err)
			}
			if got[0] != together[i] {
				t.Errorf("%s is %v alone, and %v with all roots", root.Name, got[0], together[i])
			}
			differ[got[0]] = true
		}
		if len(differ) < 3 {
			t.Errorf("all roots have the statuses %v", differ)
		}
	}
}

// TestFaultless: of a walk that omitted nothing, an audit finds nothing, for any
// roots, depths and budgets.
func TestFaultless(t *testing.T) {
	p := kinds.Attach(t, kinds.Start(t, kinds.Make(t, kinds.Build{})), nil)
	all := config(p).Roots
	random := rand.New(rand.NewPCG(3, 4))
	var faultless, other int
	for range 400 {
		cfg := config(p)
		cfg.Roots = nil
		for range 1 + random.IntN(4) {
			root := all[random.IntN(len(all))]
			if random.IntN(3) > 0 {
				root.Depth = walk.Unlimited
			} else {
				root.Depth = random.IntN(6)
			}
			if root.Budget = 1 << 30; random.IntN(4) == 0 {
				root.Budget = uint64(random.IntN(400))
			}
			cfg.Roots = append(cfg.Roots, root)
		}
		res, err := walk.Walk(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !res.Faultless {
			other++
			continue
		}
		faultless++
		found, err := walk.Audit(t.Context(), cfg, &walk.Copy{Memory: p.Mem, Has: res.Captured(), Otherwise: note.Depth})
		if err != nil {
			t.Fatal(err)
		}
		for i, status := range found {
			if status != 0 {
				t.Errorf("%s at depth %d with budget %d is %v, but the walk omitted nothing", cfg.Roots[i].Name, cfg.Roots[i].Depth, cfg.Roots[i].Budget, status)
			}
		}
	}
	if faultless < 50 || other < 50 {
		t.Errorf("%d walks omitted nothing, %d omitted something", faultless, other)
	}
}
