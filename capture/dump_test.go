//go:build linux && amd64

package capture

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// stopped stops a process for good, and returns what a debugger reads of its
// threads.
func stopped(t *testing.T, pid int) []process.Thread {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s, err := process.Stop(context.Background(), p, process.StopOptions{FloatingPoint: true, Extended: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Resume()
	return s.Threads
}

// headOf writes the kernel's core head for a process with these threads, the
// failed one first, and reads it back.
func headOf(t *testing.T, auxv []byte, threads []process.Thread) *fullcore.Head {
	t.Helper()
	var notes []elfcore.Note
	for i, th := range threads {
		r := elfcore.Thread{TID: int32(th.ID), Signal: 11, Registers: th.Words(), FPValid: true}
		notes = append(notes, r.Note())
		if i == 0 {
			info := elfcore.SigInfo{Signal: 11, Code: 1, Addr: 0xdeadbeef}
			notes = append(notes, info.Note(), elfcore.AuxvNote(auxv))
		}
		notes = append(notes, elfcore.FPRegSetNote(th.Float), elfcore.X86StateNote(th.XState))
	}
	var b bytes.Buffer
	if _, err := (&elfcore.Core{Machine: elfcore.MachineAMD64, Notes: notes}).Write(&b); err != nil {
		t.Fatal(err)
	}
	head, _, err := fullcore.ReadHead(&b)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// sameFloat compares the floating-point and vector registers of a thread. For a
// thread in a system call, ours are marks.
func sameFloat(got *elfcore.LinuxThread, want *process.Thread) bool {
	const control, registers = 32, 416 // ends of the parts of the legacy state
	if want.InSystemCall() {
		marks := bytes.Repeat([]byte{elfcore.MarkByte}, registers-control)
		for _, state := range [][]byte{got.Float, got.XState} {
			if len(state) < registers || !bytes.Equal(state[:control], want.Float[:control]) || !bytes.Equal(state[control:registers], marks) {
				return false
			}
		}
		return true
	}
	return bytes.Equal(got.Float, want.Float) && sameState(got.XState, want.XState)
}

// sameState compares the part of two extended states that every thread has.
// Ours omits the parts that no thread uses.
func sameState(got, want []byte) bool {
	const legacy = 464 // bytes of registers
	return len(got) > legacy && len(want) >= len(got) && bytes.Equal(got[:legacy], want[:legacy])
}

// With the head of the kernel's core, a capture through /proc has every thread
// with the registers that a debugger would read, the failed one first, and the
// signal. The head of another process is ignored, and a missing thread is
// reported.
func TestDump(t *testing.T) {
	pid := victim(t)
	threads := stopped(t, pid)
	if len(threads) < 2 {
		t.Fatalf("%d threads", len(threads))
	}
	auxv, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/auxv")
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(threads) // the last thread failed
	take := func(head *fullcore.Head) *Core {
		c, err := Capture(context.Background(), pid, Options{Stop: StopNever, Stacks: StacksFull, Request: request.Request{Hold: request.Hold{Dump: head}}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := take(headOf(t, auxv, threads))
	linux := written(t, c)
	if len(linux.Threads) != len(threads) || c.Summary().Threads != (Count{len(threads), len(threads)}) || c.Summary().Partial {
		t.Fatalf("%d threads of %d: %+v", len(linux.Threads), len(threads), c.Summary())
	}
	for i, got := range linux.Threads {
		want := &threads[i]
		if int(got.TID) != want.ID || !slices.Equal(got.Registers, want.Words()) || !sameFloat(&got, want) {
			t.Errorf("thread %d is\n%+v, want\n%+v", i, got, want)
		}
	}
	if s := linux.Signal; s == nil || s.Signal != 11 || s.Code != 1 || s.Addr != 0xdeadbeef {
		t.Errorf("signal %+v", s)
	}
	for _, want := range []note.Pair{{Key: "signal-code", Value: "SEGV_MAPERR"}, {Key: "fault-address", Value: "0xdeadbeef"}} {
		if !slices.Contains(recordOf(t, c).Extra, want) {
			t.Errorf("the record has no %v: %v", want, recordOf(t, c).Extra)
		}
	}

	lacking := take(headOf(t, auxv, threads[1:]))
	if n := lacking.Summary().Threads; n != (Count{len(threads), len(threads) - 1}) || !complains(lacking, "thread "+strconv.Itoa(threads[0].ID)+" is not in the kernel's core") {
		t.Errorf("without a thread: %+v", lacking.Summary())
	}

	auxv[24]++ // another process' random addresses
	strangers := slices.Clone(threads)
	for i := range strangers {
		strangers[i].ID = i + 1<<22
	}
	auxvOwn := bytes.Clone(auxv)
	auxvOwn[24]--
	for name, head := range map[string]*fullcore.Head{"auxv": headOf(t, auxv, threads), "threads": headOf(t, auxvOwn, strangers)} {
		other := take(head)
		if !complains(other, "the core on standard input is of another process") || written(t, other).Signal != nil {
			t.Errorf("of another process by its %s: %+v", name, other.Summary())
		}
		for _, th := range written(t, other).Threads {
			if th.Registers[elfcore.AMD64FSBase] != 0 {
				t.Errorf("%s: thread %d has registers of another", name, th.TID)
			}
		}
	}
}

// With skeleton stacks, registers and the address of a fault, which may derive
// from a value, are not stored either.
func TestDumpIsStripped(t *testing.T) {
	pid := victim(t)
	threads := stopped(t, pid)
	auxv, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/auxv")
	if err != nil {
		t.Fatal(err)
	}
	head := headOf(t, auxv, threads)
	before := slices.Clone(head.Threads[0].General)
	c, err := Capture(context.Background(), pid, Options{Stop: StopNever, Stacks: StacksSkeleton, Request: request.Request{Hold: request.Hold{Dump: head}}})
	if err != nil {
		t.Fatal(err)
	}
	linux := written(t, c)
	first := linux.Threads[0]
	if first.Registers[elfcore.AMD64RIP] != threads[0].PC() || first.Registers[elfcore.AMD64R12] != 0xa5a5a5a5a5a5a5a5 || len(first.XState) > 0 {
		t.Errorf("registers %x", first.Registers)
	}
	if linux.Signal.Addr != 0 || slices.ContainsFunc(recordOf(t, c).Extra, func(p note.Pair) bool { return p.Key == "fault-address" }) {
		t.Errorf("%+v, %v", linux.Signal, recordOf(t, c).Extra)
	}
	if !bytes.Equal(head.Threads[0].General, before) {
		t.Error("the caller's head was changed")
	}
}

// A stub records each thread's position, and none of its data.
func TestRecordDump(t *testing.T) {
	pid := victim(t)
	threads := stopped(t, pid)
	auxv, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/auxv")
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(threads)
	c, err := WriteStub(pid, Options{Request: request.Request{Hold: request.Hold{Dump: headOf(t, auxv, threads)}}}, errors.New("it is written in C"))
	if err != nil {
		t.Fatal(err)
	}
	linux := written(t, c)
	if len(linux.Threads) != len(threads) || linux.Signal == nil || linux.Signal.Code != 1 || linux.Signal.Addr != 0 {
		t.Fatalf("%d threads of %d, signal %+v", len(linux.Threads), len(threads), linux.Signal)
	}
	for i, th := range linux.Threads {
		want := &threads[i]
		if int(th.TID) != want.ID || th.Registers[elfcore.AMD64RIP] != want.PC() || th.Registers[elfcore.AMD64RDI] != 0xa5a5a5a5a5a5a5a5 || len(th.XState) > 0 {
			t.Errorf("thread %d: %x, want %x", th.TID, th.Registers, want.Words())
		}
	}
}

func complains(c *Core, why string) bool {
	return slices.ContainsFunc(c.Summary().Problems, func(p Problem) bool { return strings.Contains(p.Why, why) })
}

// written returns the notes of the core as readers find them.
func written(t *testing.T, c *Core) *elfcore.Linux {
	t.Helper()
	linux, err := opened(t, c).Linux()
	if err != nil {
		t.Fatal(err)
	}
	return linux
}

func opened(t *testing.T, c *Core) *elfcore.File {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	file, err := elfcore.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// recordOf returns the capture record of the core as readers find it.
func recordOf(t *testing.T, c *Core) *note.Capture {
	t.Helper()
	for _, n := range opened(t, c).Notes {
		if n.Name == note.Owner && n.Type == note.TypeCapture {
			record, err := note.DecodeCapture(n.Desc)
			if err != nil {
				t.Fatal(err)
			}
			return record
		}
	}
	t.Fatal("the core has no record")
	return nil
}
