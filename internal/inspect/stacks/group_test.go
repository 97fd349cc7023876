//go:build linux

package stacks_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// list reads goroutines from lines of an ID, a state, and functions, the
// innermost first; a function's line follows it after a colon. An exclamation mark
// is for the failed one, and names after "by" are creators.
func list(text string) []stacks.Goroutine {
	var out []stacks.Goroutine
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line, creator, _ := strings.Cut(strings.TrimSpace(line), " by ")
		words := strings.Fields(line)
		g := stacks.Goroutine{Failed: strings.HasSuffix(words[0], "!"), State: words[1]}
		g.ID, _ = strconv.ParseUint(strings.TrimSuffix(words[0], "!"), 10, 64)
		for _, word := range words[2:] {
			name, number, _ := strings.Cut(word, ":")
			n, _ := strconv.Atoi(number)
			file := "/src/" + strings.Split(name, ".")[0] + ".go"
			if strings.HasPrefix(name, "runtime.") {
				file = "/go/src/runtime/proc.go"
			}
			g.Frames = append(g.Frames, stacks.Frame{Function: name, File: file, Line: n})
			g.Start = name
			if name == "runtime.goexit" {
				g.Start = words[len(words)-2]
			}
		}
		if creator != "" {
			g.Created = &stacks.Frame{Function: creator}
		}
		out = append(out, g)
	}
	return out
}

// describe writes groups as "IDs: states; frames; creators".
func describe(groups []stacks.Group) string {
	var b strings.Builder
	for i := range groups {
		g := &groups[i]
		for _, member := range g.Goroutines {
			fmt.Fprintf(&b, "%d ", member.ID)
		}
		fmt.Fprintf(&b, "%v", g.States())
		for _, f := range g.Frames {
			fmt.Fprintf(&b, " %s:%d", f.Function, f.Line)
		}
		fmt.Fprintf(&b, " %v", g.Creators())
		if g.System {
			b.WriteString(" system")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Stacks are compared by what the source shows; the failed goroutine's group comes
// first, and the runtime's own last.
func TestGroups(t *testing.T) {
	got := describe(stacks.Groups(list(`
		1  sleep    time.Sleep main.main:9 runtime.main runtime.goexit
		2  idle     runtime.gopark runtime.forcegchelper runtime.goexit
		3  receive  runtime.gopark runtime.chanrecv1 main.work:3 main.start.gowrap1:7 runtime.goexit by main.start
		4  runnable runtime.chanrecv1 main.work:3 main.start.gowrap2:8 runtime.goexit by main.start
		5  receive  runtime.gopark runtime.chanrecv1 main.work:4 main.start.gowrap1:7 runtime.goexit by main.again
		6  receive  runtime.gopark runtime.chanrecv1 main.work:3 main.Work-fm main.start.gowrap1:7 runtime.goexit by main.again
		7! running  main.fail:1 main.start.func1.deferwrap12:7 runtime.goexit by main.start
		8  syscall
		9  idle     runtime.gopark runtime.forcegchelper runtime.goexit
	`)))
	want := `
7 [{running 1}] main.fail:1 [{main.start 1}]
3 4 6 [{receive 2} {runnable 1}] main.work:3 [{main.start 2} {main.again 1}]
1 [{sleep 1}] time.Sleep:0 main.main:9 []
5 [{receive 1}] main.work:4 [{main.again 1}]
8 [{syscall 1}] []
2 9 [{idle 2}] runtime.gopark:0 runtime.forcegchelper:0 runtime.goexit:0 [] system
`
	if diff := cmp.Diff(strings.TrimLeft(want, "\n"), got); diff != "" {
		t.Error(diff)
	}
}

func TestFilter(t *testing.T) {
	const all = `
		1 chan_receive runtime.gopark main.work:3 runtime.goexit
		2 chan         main.work:3 net/http.serve:4 runtime.goexit
		3 channel      main.other:3 runtime.goexit
	`
	for _, c := range []struct {
		name   string
		filter stacks.Filter
		want   string
	}{
		{"nothing", stacks.Filter{}, "1 2 3"},
		{"a word of a state", stacks.Filter{States: []string{"chan"}}, "1 2"},
		{"either state", stacks.Filter{States: []string{"channel", "chan receive"}}, "1 3"},
		{"half a word", stacks.Filter{States: []string{"cha"}}, ""},
		{"with", stacks.Filter{With: []string{"work"}}, "1 2"},
		{"with both", stacks.Filter{With: []string{"work", "http.serve"}}, "2"},
		{"without", stacks.Filter{Without: []string{"http.serve", "other"}}, "1"},
		{"longer", stacks.Filter{Longer: 2 * time.Minute}, "3"},
		{"label", stacks.Filter{Labels: []stacks.Label{{Key: "user", Value: "ada"}}}, "2"},
		{"another label", stacks.Filter{Labels: []stacks.Label{{Key: "user", Value: "bob"}}}, ""},
	} {
		in := list(all)
		for i := range in {
			in[i].State = strings.ReplaceAll(in[i].State, "_", " ")
			in[i].Waited = time.Duration(i+1) * time.Minute
		}
		in[1].Labels = []stacks.Label{{Key: "role", Value: "admin"}, {Key: "user", Value: "ada"}}
		var got []string
		for _, g := range c.filter.Select(in) {
			got = append(got, strconv.FormatUint(g.ID, 10))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: goroutines %v, want %s", c.name, got, c.want)
		}
	}
}

// The standard library is what is in the directory of package runtime, or, in a
// program built with -trimpath, packages that are not the program's own and have
// no dot in the first element of their path.
func TestWithoutLibrary(t *testing.T) {
	for _, trim := range []bool{false, true} {
		var frames []stacks.Frame
		for _, file := range []string{"runtime/proc.go", "net/http/server.go", "shop/queue/queue.go", "example.com/lib@v1/lib.go", "net/http/server.go"} {
			name := strings.TrimSuffix(file, filepath.Base(file)) + "f"
			switch {
			case strings.HasPrefix(file, "runtime/"):
				name = "runtime.f"
				fallthrough
			case strings.HasPrefix(file, "net/"):
				if !trim {
					file = "/usr/go/src/" + file
				}
			case !trim:
				file = "/home/ann/" + file
			}
			frames = append(frames, stacks.Frame{Function: name, File: file})
		}
		p := &inspect.Program{Core: &inspect.Core{Capture: &note.Capture{Main: "shop/cmd/shop"}}}
		got := stacks.WithoutLibrary(p, []stacks.Goroutine{{ID: 1, Frames: frames}, {ID: 2, Frames: slices.Clone(frames[:2])}, {ID: 3}})
		var names []string
		for _, g := range got {
			for _, f := range g.Frames {
				names = append(names, f.Function)
			}
		}
		if len(got) != 1 || strings.Join(names, " ") != "shop/queue/f example.com/lib@v1/f" {
			t.Errorf("trimpath %v: %d goroutines, %v", trim, len(got), names)
		}
	}
}

var profileFrame = regexp.MustCompile(`(?m)^#\t0x[0-9a-f]+\t(.+)\+0x[0-9a-f]+\t+(.+):(\d+)$`)

// ownProfile returns this process' goroutine profile: how many goroutines have a
// stack.
func ownProfile(t *testing.T) map[string]int {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, text := range strings.Split(b.String(), "\n\n") {
		n := 0
		for line := range strings.Lines(text) {
			if head, _, ok := strings.Cut(line, " @ "); ok {
				n, _ = strconv.Atoi(head)
			}
		}
		key := ""
		for _, f := range profileFrame.FindAllStringSubmatch(text, -1) {
			if f[1] != "runtime.main" {
				key += fmt.Sprintf("%s %s:%s\n", f[1], f[2], f[3])
			}
		}
		out[key] += n
	}
	return out
}

func groupCounts(groups []stacks.Group) map[string]int {
	out := map[string]int{}
	for _, g := range groups {
		key := ""
		for _, f := range g.Frames {
			key += fmt.Sprintf("%s %s:%d\n", f.Function, f.File, f.Line)
		}
		if !g.System {
			out[key] = len(g.Goroutines)
		}
	}
	return out
}

// Goroutines that wait are in the groups of this process' own profile, in text and
// in the format of pprof.
func TestGroupsAsProfile(t *testing.T) {
	w := start(t)
	own := func() map[string]int {
		all := ownProfile(t)
		for key := range all {
			if strings.Contains(key, t.Name()) && strings.Contains(key, "ownProfile") { // this very goroutine
				delete(all, key)
			}
		}
		return all
	}
	waiting := func(counts map[string]int) (n int) {
		for key, c := range counts {
			if strings.Contains(key, "(*waits).outer") {
				n += c
			}
		}
		return n
	}
	before := waiting(own())
	const more = 100
	for range more {
		go func() { w.outer(func() { <-w.receive }) }()
	}
	await.True(t, "all goroutines wait", func() bool { return waiting(own()) == before+more })
	s := open(t)
	p := s.program(t, s.Mem)
	all, missing, err := stacks.Read(p)
	if err != nil || missing > 0 {
		t.Fatalf("%d missing, %v", missing, err)
	}
	blocked := slices.DeleteFunc(slices.Clone(all), func(g stacks.Goroutine) bool {
		return g.State == "running" || g.State == "syscall" // this very goroutine
	})
	got, want := groupCounts(stacks.Groups(blocked)), own()
	delete(want, "") // the head of the profile
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the profile (-), the groups (+):\n%s", diff)
	}

	var file bytes.Buffer
	if err := stacks.Profile(&file, p, all); err != nil {
		t.Fatal(err)
	}
	prof, err := profile.Parse(&file)
	if err != nil {
		t.Fatal(err)
	}
	tagged, states := map[string]int64{}, map[string]int64{}
	for _, g := range all {
		if strings.Contains(strings.Join(asSaid(&g).Frames, "\n"), "(*waits).outer") {
			states[g.State]++
		}
	}
	for _, sample := range prof.Sample {
		for _, loc := range sample.Location {
			if strings.HasSuffix(loc.Line[len(loc.Line)-1].Function.Name, "(*waits).outer") {
				tagged[strings.Join(sample.Label["state"], ",")] += sample.Value[0]
			}
		}
	}
	if diff := cmp.Diff(states, tagged); diff != "" || states["chan receive"] <= more {
		t.Errorf("goroutines by state (-), samples (+):\n%s", diff)
	}
}

// Goroutines have the labels that they set, and wait at least since the garbage
// collector met them.
func TestLabelsAndWaits(t *testing.T) {
	w := start(t)
	labeled := make(chan uint64)
	go pprof.Do(t.Context(), pprof.Labels("user", "ada", "queue", "mail"), func(context.Context) {
		labeled <- goroutineID()
		<-w.receive
	})
	id := <-labeled
	runtime.GC()
	runtime.GC() // the first one of a process sets no times
	before := process.Clock()
	time.Sleep(time.Millisecond) // the shortest wait to be found
	s := open(t)
	p := s.program(t, s.Mem)
	p.Core.Capture = &note.Capture{Clock: process.Clock()}
	least := time.Duration(p.Core.Capture.Clock - before)
	all, _, err := stacks.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	waits := 0
	for _, g := range all {
		want := []stacks.Label(nil)
		if g.ID == id {
			want = []stacks.Label{{Key: "queue", Value: "mail"}, {Key: "user", Value: "ada"}}
		}
		if diff := cmp.Diff(want, g.Labels); diff != "" {
			t.Errorf("goroutine %d:\n%s", g.ID, diff)
		}
		if strings.Contains(strings.Join(asSaid(&g).Frames, "\n"), "(*waits).outer") {
			waits++
			if g.Waited < least || g.Waited > time.Hour {
				t.Errorf("goroutine %d waits for %v, want at least %v", g.ID, g.Waited, least)
			}
		}
	}
	if waits == 0 {
		t.Error("no goroutine waits")
	}
}

func goroutineID() uint64 {
	var buf [64]byte
	text := strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))
	id, _ := strconv.ParseUint(text[1], 10, 64)
	return id
}

// In a core without stacks the goroutines of the runtime are not among the program's.
func TestGroupsWithoutStacks(t *testing.T) {
	groups := stacks.Groups([]stacks.Goroutine{{ID: 1, Start: "runtime.main"}, {ID: 2, Start: "runtime.bgsweep"}, {ID: 3, Start: "main.work"}, {ID: 4, Start: "runtime.forcegchelper"}})
	if len(groups) != 2 || groups[0].System || len(groups[0].Goroutines) != 2 || !groups[1].System || len(groups[1].Goroutines) != 2 {
		t.Errorf("%+v", groups)
	}
}
