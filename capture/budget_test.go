//go:build linux && amd64

package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Sizes of both ends of a stack, which package read captures before any stack
// gets more.
const innermost, outermost = 4 << 10, 2 << 10

// TestBudgets: for many sizes of programs, budgets and kinds of stacks, the
// file is within the budget; gdb and Delve open it without a warning; no
// goroutine has more than the ends of its stack while another lacks one. The
// error about a too small budget names the smallest one, which works.
func TestBudgets(t *testing.T) {
	full := matrix.Whole()
	n := 0
	for i, size := range []string{"0 0 0", "3000 20 2", "100000 5 300", "10 2000 40", "50000 300 0"} {
		t.Run(size, func(t *testing.T) {
			if !full && i > 3 {
				t.Skip("a sample of the sizes")
			}
			pid, exe := running(t, "sized", strings.Fields(size)...)
			p := sizedProgram{exe: exe, pid: pid}
			p.stop(t)
			for _, stacks := range []Stacks{StacksFull, StacksSkeleton} {
				smallest := p.smallest(t, stacks)
				for k, more := range []uint64{0, 1, 4 << 10, 100 << 10, 1 << 20, 3 << 20, 16 << 20, 256 << 20} {
					if !full && (k+i+int(stacks))%3 != 0 {
						continue
					}
					n++
					p.check(t, Options{Stacks: stacks, Stop: StopAlways, Budget: smallest + more}, more)
				}
			}
		})
	}
	t.Logf("%d combinations", n)
}

// A sizedProgram is a stopped test program.
type sizedProgram struct {
	exe        string
	pid        int
	goroutines []goroutine.G // waiting ones
}

// stop stops the program as a whole and reads its goroutines.
func (p *sizedProgram) stop(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	live, err := locate.Open(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	var opts Options
	opts.setDefaults()
	program, err := locate.Locate(live, opts.resolved())
	if err != nil {
		t.Fatal(err)
	}
	list, err := program.Runtime.Cells.Read(live.Memory())
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := list.Addrs(live.Memory())
	if err != nil {
		t.Fatal(err)
	}
	read := program.Runtime.Goroutine.ReadAll(live.Memory(), addrs, nil, nil)
	if read.Bad > 0 {
		t.Fatalf("%d bad goroutines: %v", read.Bad, read.First)
	}
	for _, g := range read.All {
		if g.Status == goroutine.Waiting {
			p.goroutines = append(p.goroutines, g)
		}
	}
}

var smallestCore = regexp.MustCompile(`write a core of at most 1 bytes: the smallest core of this program has (\d+): raise --budget$`)

// smallest returns the smallest budget, as the error about a smaller one names
// it.
func (p *sizedProgram) smallest(t *testing.T, stacks Stacks) uint64 {
	t.Helper()
	_, err := Capture(context.Background(), p.pid, Options{Stacks: stacks, Stop: StopAlways, Budget: 1})
	match := smallestCore.FindStringSubmatch(fmt.Sprint(err))
	if match == nil || IsUnreadable(err) {
		t.Fatalf("a budget of a byte: %v", err)
	}
	n, _ := strconv.ParseUint(match[1], 10, 64)
	if _, err := Capture(context.Background(), p.pid, Options{Stacks: stacks, Stop: StopAlways, Budget: n - 1}); err == nil {
		t.Errorf("%d bytes are the smallest core, and one less is enough", n)
	}
	return n
}

// check captures the program within a budget that exceeds the smallest one by
// more.
func (p *sizedProgram) check(t *testing.T, opts Options, more uint64) {
	t.Helper()
	what := fmt.Sprintf("%v stacks, %d and %d bytes", opts.Stacks, opts.Budget-more, more)
	core, err := Capture(context.Background(), p.pid, opts)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	var data bytes.Buffer
	if _, err := core.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	if uint64(data.Len()) > opts.Budget {
		t.Errorf("%s: a file of %d bytes", what, data.Len())
	}
	p.checkStacks(t, what, data.Bytes(), more)
	path := filepath.Join(t.TempDir(), "budget.core")
	if err := os.WriteFile(path, data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p.open(t, what, path)
}

// checkStacks fails the test if a goroutine lacks an end of its stack although
// there was room for it, or while another has more.
func (p *sizedProgram) checkStacks(t *testing.T, what string, data []byte, more uint64) {
	t.Helper()
	has := captured(t, data)
	without, deeper := 0, 0
	for i := range p.goroutines {
		used := p.goroutines[i].InUse(p.goroutines[i].Where().SP)
		inner, outer := used, memory.Range{}
		if used.Size() > innermost+outermost {
			inner, outer = memory.RangeOf(used.Start, innermost), memory.Range{Start: used.End - outermost, End: used.End}
		}
		ends := has.OverlapSize(inner) + has.OverlapSize(outer)
		if ends < inner.Size()+outer.Size() {
			without++
		} else if has.OverlapSize(used) > ends {
			deeper++
		}
	}
	// Regions leave at least half of the budget; the runtime's variables and a
	// goroutine's record and borders take less than this.
	enough := uint64(2 * (1<<20 + 8<<10*len(p.goroutines)))
	if without > 0 && (deeper > 0 || more >= enough) {
		t.Errorf("%s: of %d goroutines %d lack an end of their stack, and %d have more than the ends", what, len(p.goroutines), without, deeper)
	}
}

// captured returns the memory in a core.
func captured(t *testing.T, data []byte) memory.Ranges {
	t.Helper()
	f, err := elfcore.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var loads, gaps []memory.Range
	for i := range f.Loads {
		if l := &f.Loads[i]; !l.Marked() {
			loads = append(loads, memory.RangeOf(memory.Address(l.Addr), l.FileSize))
		}
	}
	desc, _ := f.Note(note.Owner, note.TypeMarked)
	marked, err := note.DecodeMarked(desc)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marked {
		if m.Why == note.MarkedGap || m.Why == note.MarkedHole {
			gaps = append(gaps, memory.RangeOf(memory.Address(m.Addr), m.Size))
		}
	}
	return memory.RangesOf(loads...).Minus(memory.RangesOf(gaps...))
}

// open fails the test if a debugger cannot open a core.
func (p *sizedProgram) open(t *testing.T, what, core string) {
	t.Helper()
	debuggers.Need(t, "gdb")
	out, err := debuggers.GDB(t.Context(), p.exe, core, "info threads")
	if err != nil || strings.Contains(strings.ToLower(out), "warning") || !strings.Contains(out, "LWP "+strconv.Itoa(p.pid)) {
		t.Errorf("%s: gdb: %v\n%s", what, err, out)
	}
	debuggers.Need(t, "dlv")
	out, err = debuggers.Delve(t.Context(), p.exe, core, "threads", "goroutines")
	if err != nil && !errors.Is(err, context.Canceled) || !strings.Contains(out, "Thread "+strconv.Itoa(p.pid)) {
		t.Errorf("%s: Delve: %v\n%s", what, err, out)
	}
}
