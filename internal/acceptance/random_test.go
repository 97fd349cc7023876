//go:build linux

package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/paths/pathstest"
	"github.com/meminspect/meminspect/internal/inspect/scan"
	values "github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/kinds/random"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// randomBuilds are taken in turn.
var randomBuilds = []kinds.Build{
	{}, {Args: "-ldflags=-s"}, {Debug: true}, {Toolchain: "go1.27.3", Args: "-buildmode=pie"}, {Toolchain: "go1.24.9"},
	{Toolchain: "go1.24.9", Env: "GOEXPERIMENT=noswissmap"}, {Args: "-buildmode=pie"}, {Toolchain: "go1.27.3", Args: "-ldflags=-s"}, {Toolchain: "go1.25.5"},
}

// For each random program, a captured core, one filtered from gdb's and one
// that the program wrote itself only show the values that the program prints,
// lack only what the depth, the budget and the exclusions of an annotation
// omit, and contain no secret. Delve prints the same as for gdb's core.
//
// MEMINSPECT_SEED is the first seed, or a single one with MEMINSPECT_SEEDS=1.
func TestRandomPrograms(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	first, n := setting(t, "MEMINSPECT_SEED", 1), setting(t, "MEMINSPECT_SEEDS", 4)
	if full && os.Getenv("MEMINSPECT_SEEDS") == "" {
		n = 2 * uint64(len(randomBuilds)) // each build twice
	}
	seeds := []uint64{
		52, // a channel with a receiver whose record is cut by the budget
		53, // a closure with a complex number of an inlined generic function
	}
	if os.Getenv("MEMINSPECT_SEED") != "" {
		seeds = nil
	}
	for seed := first; seed < first+n; seed++ {
		if !slices.Contains(seeds, seed) {
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		b := randomBuilds[seed%uint64(len(randomBuilds))]
		t.Run(fmt.Sprintf("%d/%v", seed, b), func(t *testing.T) { tryRandom(t, seed, b) })
	}
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func tryRandom(t *testing.T, seed uint64, b kinds.Build) {
	r := &randomRun{T: t, p: random.Make(seed), claim: map[string]*claim{}, all: map[string]map[string]*claim{}}
	b.Tables, b.Dir = true, t.TempDir()
	if err := r.p.Write(b.Dir); err != nil {
		t.Fatal(err)
	}
	r.exe = kinds.Make(t, b)
	words, own := filepath.Join(b.Dir, "words"), filepath.Join(b.Dir, "own.core")
	pid := kinds.Start(t, r.exe, words, own)
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r.mem = p.Memory()
	text, err := os.ReadFile(words)
	if err == nil {
		err = json.Unmarshal(text, &r.claim)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range r.claim {
		r.all[name] = s.index(map[string]*claim{})
	}
	whole := gcore(t, pid)
	opts := capture.Options{Stop: capture.StopAlways, Depth: deep, RegionBudget: 1 << 30, Budget: 1 << 30}
	captured, _ := takeCore(t, pid, opts)
	filtered, _ := filter(t, whole, fullcore.Options{}, opts)
	running, _ := takeCore(t, pid, capture.Options{Stop: capture.StopNever, Depth: deep, RegionBudget: 1 << 30, Budget: 1 << 30})
	r.check("captured", captured, false)
	r.check("captured while it runs", running, false)
	r.check("filtered", filtered, false)
	r.check("own", own, true)
	if !strings.Contains(b.Args, "-s") {
		r.delve(whole, captured, filtered)
	}
	if err := os.Remove(whole); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("again: MEMINSPECT_SEED=%d MEMINSPECT_SEEDS=1 go test ./internal/acceptance -run TestRandomPrograms", seed)
	}
}

// deep is how many pointers are followed if an annotation sets no depth.
const deep = 60

// A randomRun is one program, stopped.
type randomRun struct {
	*testing.T
	p     *random.Program
	exe   string
	mem   memory.Memory
	claim map[string]*claim            // by the name of a variable
	all   map[string]map[string]*claim // what its pointers point at, see index
}

// check compares a core with what the program prints. own is for a core of regions
// alone.
func (r *randomRun) check(name, path string, own bool) {
	core, err := inspect.Open(path)
	if err != nil {
		r.Fatal(err)
	}
	defer core.Close()
	r.bytes(name, core)
	r.secrets(name, path)
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		r.Fatal(err)
	}
	defer prog.Close()
	keys := pathstest.Check(r, prog)
	r.Logf("%s: %d paths with keys", name, keys)
	// What two regions lead to is paid for by one: if its budget ends there, both
	// lack what they lead to.
	short := slices.ContainsFunc(core.Regions, func(g note.Region) bool { return g.Status&note.Budget != 0 })
	for i := range r.p.Entries {
		e := &r.p.Entries[i]
		at := slices.IndexFunc(core.Regions, func(g note.Region) bool { return g.Expr == e.Expr && g.Package == "kinds" })
		if at < 0 && own && r.claim[e.Expr].empty() {
			continue
		}
		if at < 0 {
			r.Errorf("%s: no region %s", name, e.Expr)
			continue
		}
		region := &core.Regions[at]
		h := holding{all: r.all[e.Expr], depth: deep, alias: e.Alias, own: own}
		switch {
		case own:
			h.depth = 0
		case e.Depth >= 0:
			h.depth = e.Depth
		}
		if e.Size > 0 { // its bytes were compared
			continue
		}
		h.cut = short
		cut := region.Status&note.Budget != 0
		if bad := region.Status &^ note.Expected; bad != 0 {
			r.Errorf("%s: %s is %v", name, e.Expr, region.Status)
		}
		v := values.Region(prog, region, values.Limits{Depth: 200, Elements: -1, Bytes: -1, Values: 100_000})
		if last := len(v.Notes) - 1; cut && last >= 0 && v.Notes[last] == "cut by budget" {
			v.Notes = v.Notes[:last]
		}
		h.compare(e.Expr, r.claim[e.Expr], v, 0)
		missing, limited := shown(v)
		// The reader takes constants, and thus the code of functions, from the executable.
		limited = limited || r.claim[e.Expr].any(func(s *claim) bool { return s.Kind == "more" || s.Kind == "func" })
		switch {
		case region.Status == note.Complete && missing:
			r.Errorf("%s: %s is complete, and something of it is not shown", name, e.Expr)
		// Not of the depth: what it ends at may be a constant. Nor of exclusions: they
		// cover the free slots of maps too.
		case region.Status&note.Budget != 0 && !missing && !limited && !own:
			r.Errorf("%s: %s is %v, and all of it is shown", name, e.Expr, region.Status)
		}
		for _, fault := range h.faults[:min(len(h.faults), 3)] {
			r.Errorf("%s: %s", name, fault)
		}
	}
}

// bytes holds each byte of a core against the program's memory.
func (r *randomRun) bytes(name string, core *inspect.Core) {
	for i := range core.Loads {
		l := &core.Loads[i]
		if l.Marked() {
			continue
		}
		got, want := make([]byte, l.FileSize), make([]byte, l.FileSize)
		if _, err := core.ReadMemory(l.Addr, got); err != nil {
			r.Fatal(err)
		}
		if n, err := r.mem.ReadAt(want, memory.Address(l.Addr)); n < len(want) {
			r.Errorf("%s: %#x: of %d bytes %d: %v", name, l.Addr, len(want), n, err)
			continue
		}
		for k := range got {
			if got[k] != want[k] && got[k] != elfcore.MarkByte {
				r.Errorf("%s: at %#x is %#x, not %#x", name, l.Addr+uint64(k), got[k], want[k])
				break
			}
		}
	}
}

// secrets looks for every secret in a whole core.
func (r *randomRun) secrets(name, path string) {
	if r.p.Secrets == 0 {
		return
	}
	patterns := make([]scan.Pattern, r.p.Secrets)
	for n := range patterns {
		patterns[n].Bytes = secret(n)
	}
	f, err := os.Open(path)
	if err != nil {
		r.Fatal(err)
	}
	defer f.Close()
	found := map[int]bool{}
	if _, err := scan.Reader(f, patterns, func(h scan.Hit) { found[h.Pattern] = true }); err != nil {
		r.Fatal(err)
	}
	if len(found) > 0 {
		r.Errorf("%s holds the secrets %v", name, slices.Sorted(maps.Keys(found)))
	}
}

// delve holds what Delve prints of our cores against what it prints of gdb's.
func (r *randomRun) delve(whole string, cores ...string) {
	var vars []kinds.Var
	for _, e := range r.p.Entries {
		s := r.claim[e.Expr]
		if e.Depth < 0 && e.Budget == 0 && e.Size == 0 && !e.Member && !e.Alias && (len(r.p.Rules) == 0 || !s.any(func(s *claim) bool { return s.Hidden || s.Kind == "func" || s.Kind == "chan" })) {
			vars = append(vars, kinds.Var{Name: "main." + e.Expr})
		}
	}
	exprs := expressions(vars)
	printed := func(core string) []string {
		out, err := debuggers.DelvePrintAs(r.Context(), r.exe, core, []string{"config max-variable-recurse 3", "config max-array-values 100", "config max-string-len 200"}, exprs...)
		if err != nil {
			r.Fatal(err)
		}
		return out
	}
	want := printed(whole)
	for _, core := range cores {
		got := printed(core)
		for i, v := range vars {
			if got[i] != want[i] {
				r.Errorf("%s: Delve prints %s:\n%s", filepath.Base(core), v.Name, clip(differences(strings.Split(got[i], "\n"), strings.Split(want[i], "\n"))[0]))
			}
		}
	}
}
