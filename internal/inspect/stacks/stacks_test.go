//go:build linux

package stacks_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A waits has goroutines that wait, each in a way of its own.
type waits struct {
	receive, send, choose, refuse chan int
	mu                            sync.Mutex
}

//go:noinline
func (w *waits) outer(wait func()) { inlined(wait) }

func inlined(wait func()) { wait() }

// start starts the goroutines and returns when all of them wait.
func start(tb testing.TB) *waits {
	w := &waits{receive: make(chan int), send: make(chan int), choose: make(chan int), refuse: make(chan int)}
	w.mu.Lock()
	tb.Cleanup(func() {
		close(w.receive)
		close(w.choose)
		<-w.send
		w.mu.Unlock()
	})
	for _, wait := range []func(){
		func() { <-w.receive },
		func() { w.send <- 1 },
		func() {
			select {
			case <-w.choose:
			case w.refuse <- 1:
			}
		},
		func() { w.mu.Lock() },
		func() {
			runtime.LockOSThread()
			<-w.receive
		},
	} {
		go func() { w.outer(wait) }() // tracebacks leave out the wrapper that `go w.outer(wait)` has
	}
	want := []string{"chan receive", "chan send", "select", "sync.Mutex.Lock", "chan receive, locked to thread"}
	await.True(tb, "all goroutines wait", func() bool {
		found := 0
		for _, g := range ownStacks() {
			if strings.Contains(strings.Join(g.Frames, "\n"), "(*waits).outer") && slices.Contains(want, g.State) {
				found++
			}
		}
		return found == len(want)
	})
	return w
}

// A traced is a goroutine as the runtime's own traceback has it, without the
// runtime's functions, which tracebacks leave out.
type traced struct {
	ID      uint64
	State   string // with what follows a comma
	Frames  []string
	Created string
}

// ownStacks returns the goroutines of this process, by its own account.
func ownStacks() map[uint64]traced {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	all := map[uint64]traced{}
	for _, text := range strings.Split(string(buf), "\n\n") {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		head, state, ok := strings.Cut(strings.TrimPrefix(lines[0], "goroutine "), " [")
		id, err := strconv.ParseUint(head, 10, 64)
		if !ok || err != nil {
			continue
		}
		g := traced{ID: id, State: strings.TrimSuffix(state, "]:")}
		for i := 1; i+1 < len(lines); i += 2 {
			name, created := strings.CutPrefix(lines[i], "created by ")
			place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
			if created {
				name, _, _ = strings.Cut(name, " in goroutine ")
				g.Created = name + " " + place
				continue
			}
			name = name[:strings.LastIndexByte(name, '(')]
			if !strings.HasPrefix(name, "runtime.") {
				g.Frames = append(g.Frames, name+" "+place)
			}
		}
		all[id] = g
	}
	return all
}

func asSaid(g *stacks.Goroutine) traced {
	s := traced{ID: g.ID, State: g.State}
	if g.Locked {
		s.State += ", locked to thread"
	}
	text := func(f *stacks.Frame) string { return fmt.Sprintf("%s %s:%d", f.Function, f.File, f.Line) }
	for i := range g.Frames {
		if f := &g.Frames[i]; !strings.HasPrefix(f.Function, "runtime.") {
			s.Frames = append(s.Frames, text(f))
		}
	}
	if g.Created != nil {
		s.Created = text(g.Created)
	}
	return s
}

// A self is this process, with the note that a core of it would have.
type self struct {
	*kinds.Program
	note note.Goroutines
	gs   map[uint64]goroutine.G
}

func open(tb testing.TB) *self {
	tb.Helper()
	s := &self{Program: kinds.Open(tb, os.Getpid(), nil), gs: map[uint64]goroutine.G{}}
	layout, err := goroutine.LayoutOf(s.Prog.Version)
	if err != nil {
		tb.Skip(err)
	}
	cells, err := goroutine.Find(s.Prog, func(string) (memory.Address, bool) { return 0, false })
	if err != nil {
		tb.Fatal(err)
	}
	list, err := cells.Read(s.Mem)
	if err != nil {
		tb.Fatal(err)
	}
	addrs, err := list.Addrs(s.Mem)
	if err != nil {
		tb.Fatal(err)
	}
	read := layout.ReadAll(s.Mem, addrs, nil, nil)
	if read.First != nil {
		tb.Fatal(read.First)
	}
	for _, g := range read.All {
		s.gs[g.ID] = g
	}
	s.note = note.Goroutines{Stacks: note.StackFull, All: list.Len, List: uint64(list.Array), Length: list.Len}
	return s
}

// program is a core of this process that lacks some of its memory.
func (s *self) program(tb testing.TB, mem memory.Memory, lost ...inspect.Lost) *inspect.Program {
	tb.Helper()
	p := inspect.NewProgram(s.Prog, mem, lost...)
	p.Core = coreOf(tb, elfcore.Note{Name: note.Owner, Type: note.TypeGoroutines, Desc: s.note.Encode()})
	return p
}

func coreOf(tb testing.TB, notes ...elfcore.Note) *inspect.Core {
	tb.Helper()
	machine := map[string]uint16{"amd64": elfcore.MachineAMD64, "arm64": elfcore.MachineARM64}[runtime.GOARCH]
	var b bytes.Buffer
	if _, err := (&elfcore.Core{Machine: machine, Notes: notes}).Write(&b); err != nil {
		tb.Fatal(err)
	}
	core, err := inspect.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		tb.Fatal(err)
	}
	return core
}

// Goroutines that wait have the frames, inlined ones too, the states and the
// creators that the runtime's own traceback has.
func TestGoroutinesThatWait(t *testing.T) {
	start(t)
	want := ownStacks()
	s := open(t)
	list, missing, err := stacks.Read(s.program(t, s.Mem))
	if err != nil || missing > 0 {
		t.Fatalf("%d missing, %v", missing, err)
	}
	seen := 0
	for i := range list {
		g := &list[i]
		if i > 0 && g.ID <= list[i-1].ID {
			t.Errorf("goroutine %d after %d", g.ID, list[i-1].ID)
		}
		got := asSaid(g)
		if !strings.Contains(strings.Join(got.Frames, "\n"), "(*waits).outer") {
			continue
		}
		seen++
		if diff := cmp.Diff(want[g.ID], got); diff != "" || g.Problem != "" {
			t.Errorf("the traceback (-), the core (+), problem %q:\n%s", g.Problem, diff)
		}
		if last := g.Frames[len(g.Frames)-1].Function; last != "runtime.goexit" {
			t.Errorf("goroutine %d ends in %s", g.ID, last)
		}
	}
	if seen != 5 {
		t.Errorf("%d goroutines of 5 wait", seen)
	}
}

// A reason replaces what a core lacks, and the rest is shown.
func TestPartOfAStack(t *testing.T) {
	start(t)
	s := open(t)
	whole, _, err := stacks.Read(s.program(t, s.Mem))
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for !strings.Contains(strings.Join(asSaid(&whole[i]).Frames, "\n"), "(*waits).outer") {
		i++
	}
	g := s.gs[whole[i].ID]
	s.note.Failed = g.ID
	// Without the oldest frames.
	lost := inspect.Lost{Range: memory.Range{Start: g.Stack.End - 64, End: g.Stack.End}, Why: note.MarkedGap}
	list, missing, err := stacks.Read(s.program(t, s.Mem, lost))
	if err != nil || missing > 0 {
		t.Fatalf("%d missing, %v", missing, err)
	}
	got := &list[0]
	if !got.Failed || got.ID != g.ID {
		t.Errorf("the first is %d, failed %v, want %d", got.ID, got.Failed, g.ID)
	}
	if n := len(got.Frames); n == 0 || n >= len(whole[i].Frames) || !strings.Contains(got.Problem, "is not in the core") {
		t.Errorf("%d frames of %d, problem %q", n, len(whole[i].Frames), got.Problem)
	}
	// Without the goroutine itself.
	lost = inspect.Lost{Range: memory.RangeOf(g.Addr, 8), Why: note.MarkedGap}
	list, missing, err = stacks.Read(s.program(t, s.Mem, lost))
	if err != nil || missing != 1 || len(list) != len(whole)-1 {
		t.Errorf("%d goroutines and %d missing of %d, %v", len(list), missing, len(whole), err)
	}
	// Without the list.
	lost = inspect.Lost{Range: memory.RangeOf(memory.Address(s.note.List), s.note.Length*8), Why: note.MarkedGap}
	list, missing, err = stacks.Read(s.program(t, s.Mem, lost))
	if err != nil || len(list) > 0 || uint64(missing) != s.note.Length {
		t.Errorf("%d goroutines and %d missing, %v", len(list), missing, err)
	}
}

// A core that has no goroutines reports that.
func TestNoGoroutines(t *testing.T) {
	s := open(t)
	for what, core := range map[string]*inspect.Core{
		"no note":       coreOf(t),
		"an empty list": coreOf(t, elfcore.Note{Name: note.Owner, Type: note.TypeGoroutines, Desc: (&note.Goroutines{}).Encode()}),
	} {
		p := inspect.NewProgram(s.Prog, s.Mem)
		p.Core = core
		if _, _, err := stacks.Read(p); !errors.Is(err, stacks.ErrNone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := stacks.Read(&inspect.Program{Core: coreOf(t, elfcore.Note{Name: note.Owner, Type: note.TypeGoroutines, Desc: s.note.Encode()})}); err == nil || errors.Is(err, stacks.ErrNone) {
		t.Errorf("a program of which nothing is known: %v", err)
	}
}

// liar is memory of which some words are not what they are.
type liar struct {
	memory.Memory
	seed, rate uint64
}

func (l liar) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := l.Memory.ReadAt(p, addr)
	for i := int(-uint64(addr) & 7); i+8 <= n; i += 8 {
		x := (uint64(addr) + uint64(i)) ^ l.seed
		for range 3 {
			x ^= x >> 29
			x *= 0xbf58476d1ce4e5b9
		}
		if x%l.rate == 0 {
			old := binary.LittleEndian.Uint64(p[i:])
			binary.LittleEndian.PutUint64(p[i:], [...]uint64{0, x, old + 8, old ^ 8, old - 16, old << 1, ^uint64(0), x >> 40}[x>>32%8])
		}
	}
	return n, err
}

// FuzzRead: memory that lies costs a bounded number of frames and gives no
// goroutine twice, in the order that is promised.
func FuzzRead(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed, 2+seed*seed)
	}
	start(f)
	s := open(f)
	f.Fuzz(func(t *testing.T, seed, rate uint64) {
		list, missing, err := stacks.Read(s.program(t, liar{s.Mem, seed, max(rate, 2)}))
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(list)+missing) > s.note.Length {
			t.Errorf("%d goroutines, %d missing, of %d", len(list), missing, s.note.Length)
		}
		for i := range list {
			if n := len(list[i].Frames); n > 1<<16 {
				t.Errorf("goroutine %d has %d frames", list[i].ID, n)
			}
		}
	})
}
