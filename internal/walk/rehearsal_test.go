//go:build linux

package walk_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// TestRehearsal: a walk that reuses a rehearsal of a program that changes
// everything loses nothing. It captures everything that a plain walk through
// the same stopped program captures, with the same bytes, and every region has
// the same statuses.
func TestRehearsal(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "churn")
	build := exec.Command("go", "build", "-o", exe, "./testdata/churn")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seeds := matrix.Choose(uint64(6), 200)
	taken := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if rehearse(t, exe, seed) {
				taken++
			}
		})
	}
	if taken < int(seeds)/4 {
		t.Errorf("of %d rehearsals %d were taken over", seeds, taken)
	}
	t.Logf("%d of %d rehearsals were taken over", taken, seeds)
}

func rehearse(t *testing.T, exe string, seed uint64) (taken bool) {
	pid := start(t, exe, strconv.FormatUint(seed, 10))
	p := kinds.Attach(t, pid, nil)
	cfg := config(p)
	for i := range cfg.Roots {
		cfg.Roots[i].Depth = []int{walk.Unlimited, 3, 6}[(int(seed)+i)%3]
	}
	now := cfg
	now.Roots = cfg.Roots[1:] // a region is no longer registered, another is new
	cfg.Roots = cfg.Roots[:len(cfg.Roots)-1]
	rehearsal, _, err := walk.Rehearse(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, pid)
	now.Memory = kinds.Attach(t, pid, nil).Mem // it may have more memory
	plain, err := walk.Walk(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rehearsal.Walk(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if lost := plain.Captured().Minus(got.Captured()); len(lost) > 0 {
		t.Errorf("%d bytes are lost, the first at %v", lost.Size(), lost[0])
	}
	compareBytes(t, plain, got)
	for i := range now.Roots {
		a, b := &plain.Roots[i], &got.Roots[i]
		if a.State != b.State || a.Failures != b.Failures || a.Status != b.Status {
			t.Errorf("%s is %v with %d failures %v, by a plain walk %v with %d %v", now.Roots[i].Name, b.State, b.Failures, b.Records, a.State, a.Failures, a.Records)
		}
	}
	statuses := func(res *walk.Result) []note.Status {
		found, err := walk.Audit(t.Context(), now, &walk.Copy{Memory: now.Memory, Has: res.Captured(), Omissions: res.Omissions, Otherwise: note.Holes})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	a, b := statuses(plain), statuses(got)
	for i := range a {
		// Values that were within the depth before may still be captured. Then the
		// depth omits fewer values or none, and an audit follows more of them, also
		// those that lead to memory without a type.
		const deeper = note.Depth | note.Untyped
		if a[i] != b[i] && (a[i]&note.Depth == 0 || a[i]&^deeper != b[i]&^deeper || a[i]&note.Untyped&^b[i] != 0) {
			t.Errorf("%s is %v, by a plain walk %v", now.Roots[i].Name, b[i], a[i])
		}
	}
	t.Logf("taken over: %v; %d bytes, %d by a plain walk; %d of %d values looked at again", got.Stats.Rehearsed, got.Captured().Size(), plain.Captured().Size(), got.Stats.Values, plain.Stats.Values)
	return got.Stats.Rehearsed
}

// compareBytes compares the bytes read by two walks through the same memory.
func compareBytes(t *testing.T, want, got *walk.Result) {
	for _, res := range []*walk.Result{want, got} {
		if err := res.ReadRest(nil); err != nil {
			t.Fatal(err)
		}
	}
	have := map[memory.Address][]byte{}
	const page = 4096
	for addr, data := range got.Bytes() {
		base := addr &^ (page - 1)
		if have[base] == nil {
			have[base] = make([]byte, page)
		}
		copy(have[base][addr-base:], data)
	}
	for addr, data := range want.Bytes() {
		base := addr &^ (page - 1)
		if now := have[base]; now == nil || !bytes.Equal(now[addr-base:][:len(data)], data) {
			t.Errorf("the %d bytes at %v differ", len(data), addr)
			return
		}
	}
}

// start starts a program and waits until it is ready.
func start(t *testing.T, exe string, args ...string) (pid int) {
	cmd := exec.Command(exe, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the program printed %q, %v", line, err)
	}
	return cmd.Process.Pid
}

// stop stops a child of this process, and all its threads.
func stop(t *testing.T, pid int) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, nil, syscall.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
}
