//go:build linux

package acceptance

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/agent"
	"github.com/meminspect/meminspect/internal/supervise/child"
	"github.com/meminspect/meminspect/runtime/format/kinfo"
	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/ramoops"
)

// startBackends runs the program until it is ready, and returns
// what it printed before.
func startBackends(t *testing.T, exe, dir string) (pid int, values [][2]string) {
	t.Helper()
	cmd := exec.Command(exe, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			return cmd.Process.Pid, values
		}
		expr, value, _ := strings.Cut(lines.Text(), "\t")
		values = append(values, [2]string{expr, value})
	}
	t.Fatal("the program did not get ready")
	return 0, nil
}

// The agent copies what the table of contents names, knowing nothing of it; cat
// of the files is a core that unmodified gdb and Delve open, with the right
// values, and the marked pattern for all else.
func TestMinidumpFilesInDebuggers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("registers of a core of this machine: only amd64 has been compared in the debuggers")
	}
	for _, w := range ways()[:2] {
		t.Run(w.name, func(t *testing.T) {
			exe := build(t, "backends", w.env, w.flags...)
			dir := t.TempDir()
			pid, values := startBackends(t, exe, dir)
			p, err := process.Open(pid)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			at, err := agent.FindTable(p)
			if err != nil {
				t.Fatal(err)
			}
			if found, err := agent.FindProcess(filepath.Join(dir, "minidump")); err != nil || found != pid {
				t.Errorf("process %d has the table, found %d, %v", pid, found, err)
			}
			copies, err := agent.Export(p.Memory(), at, filepath.Join(dir, "files"))
			if err != nil {
				t.Fatal(err)
			}

			// cat, as everybody has it.
			core := filepath.Join(dir, "cat.core")
			cat := exec.Command("cat")
			for i, c := range copies {
				if c.Sequence != uint32(i+1) || c.Size%4 != 0 || c.Holes != 0 {
					t.Errorf("%+v", c)
				}
				cat.Args = append(cat.Args, c.File)
			}
			file, err := os.Create(core)
			if err != nil {
				t.Fatal(err)
			}
			cat.Stdout = file
			if err := cat.Run(); err != nil {
				t.Fatal(err)
			}
			file.Close()
			assembled := &bytes.Buffer{}
			if _, err := agent.Assemble(filepath.Join(dir, "files"), assembled); err != nil {
				t.Error(err)
			}
			if b, _ := os.ReadFile(core); !bytes.Equal(b, assembled.Bytes()) {
				t.Error("assemble and cat differ")
			}

			var exprs, quoted, want []string
			for _, v := range append(values, [2]string{"main.forgotten", marked}, [2]string{"main.empty", marked}) {
				exprs, want = append(exprs, v[0]), append(want, v[1])
				name, rest := v[0], ""
				if cut := strings.IndexAny(name[len("main."):], ".["); cut >= 0 {
					name, rest = v[0][:len("main.")+cut], v[0][len("main.")+cut:]
				}
				quoted = append(quoted, "'"+name+"'"+rest)
			}
			gdb, delve := debuggers.MustGDB(t, exe, core, quoted...), debuggers.MustDelve(t, exe, core, exprs...)
			for i := range exprs {
				if got, _, _ := strings.Cut(gdb[i], " "); got != want[i] {
					t.Errorf("gdb: %s is %s, want %s", exprs[i], gdb[i], want[i])
				}
				if delve[i] != want[i] {
					t.Errorf("dlv: %s is %s, want %s", exprs[i], delve[i], want[i])
				}
			}

			// What pads a region is zeros, never its neighbour.
			for _, c := range copies {
				b, err := os.ReadFile(c.File)
				if err != nil || uint64(len(b)) != c.Size {
					t.Fatalf("%s: %d bytes, %v", c.File, len(b), err)
				}
				if pad := b[c.True:]; !bytes.Equal(pad, make([]byte, len(pad))) {
					t.Errorf("%s is padded with %x", c.File, pad)
				}
				if strings.HasPrefix(c.Name, "Ktext") && c.True != 5 {
					t.Errorf("text has %d bytes, 5 are registered", c.True)
				}
			}
			opened, err := inspect.Open(core)
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			if len(opened.Regions) != len(copies)-2 {
				t.Errorf("%d regions in %d files", len(opened.Regions), len(copies))
			}
		})
	}
}

// A program that logs, dumps and registers at full speed is killed at random
// moments; its log ring, its pstore file and its anchor read back whole every
// time.
func TestKilledAtAnyMoment(t *testing.T) {
	const rounds = 200
	exe := build(t, "backends", []string{"CGO_ENABLED=0"})
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(9, 10))
	proved, again, torn := 0, 0, 0
	for proved < rounds {
		anchor, changing := killedRound(t, exe, dir, time.Duration(rng.IntN(20_000))*time.Microsecond)
		torn += changing
		if t.Failed() {
			t.Fatalf("in round %d", proved+again)
		}
		// A kill that comes while the kernel already ends the main thread's
		// stop leaves no exit stop, so no memory: that round proves the files
		// alone, and another one is made.
		if anchor {
			proved++
		} else if again++; again > rounds/10 {
			t.Fatalf("no exit stop in %d rounds of %d", again, proved+again)
		}
	}
	t.Logf("%d rounds, and %d without an exit stop; %d regions, records or zones were in the middle of a change and printed so", proved, again, torn)
}

func killedRound(t *testing.T, exe, dir string, after time.Duration) (anchor bool, torn int) {
	t.Helper()
	tracer := process.NewTracer()
	defer tracer.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, notSeized, err := child.Start(child.Command{
		Path: exe, Args: []string{exe, dir, "busy"}, Env: os.Environ(),
		Files: []uintptr{^uintptr(0), w.Fd(), os.Stderr.Fd()},
	}, tracer, true)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if notSeized != nil {
		unix.Kill(c.PID, unix.SIGKILL)
		c.Wait(child.Events{})
		t.Skip("the anchor of a dead program is read in its exit stop: ptrace is not allowed here: ", notSeized)
	}
	go func() {
		line, _ := bufio.NewReader(r).ReadString('\n')
		if line == "busy\n" {
			time.Sleep(after) // any moment of its work
		}
		unix.Kill(c.PID, unix.SIGKILL)
	}()
	status, err := c.Wait(child.Events{Exiting: func(unix.WaitStatus) {
		anchor = true
		torn += checkAnchor(t, c.PID)
	}})
	if err != nil || !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Fatalf("%v, status %#x", err, status)
	}
	checkBlocks(t, dir)
	return anchor, torn + checkRing(t, filepath.Join(dir, "ring")) + checkPstore(t, filepath.Join(dir, "pstore"))
}

// checkAnchor reads the dead program's regions: all of them, at most one, which
// was being changed, torn.
func checkAnchor(t *testing.T, pid int) (torn int) {
	p, err := process.Open(pid)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer p.Close()
	name, err := p.ExeName()
	if err != nil {
		t.Error(err)
		return 0
	}
	maps, err := p.Maps()
	if err != nil {
		t.Error(err)
		return 0
	}
	var data memory.Spliced
	for _, m := range maps {
		if m.Path == name && m.Write {
			data.Put(memory.Segment{Range: m.Range, Write: true}, p.Memory())
		}
	}
	found := tables.FindIn(&data, p.Memory())
	if len(found.Anchors) != 1 || len(found.Problems) > 0 {
		t.Errorf("%d anchors, %v", len(found.Anchors), found.Problems)
		return 0
	}
	a := found.Anchors[0]
	slots, err := tables.Slots(p.Memory(), a)
	if err != nil {
		t.Error(err)
	}
	for _, s := range slots {
		if s.Torn {
			torn++
			continue
		}
		if s.Name == "busy" && s.Bytes != 8 || s.Name != "busy" && s.Name != "log" && s.Name != "ELF" && s.Name != "vmcoreinfo" && s.Name != "buildinfo" && s.Name != "process" {
			t.Errorf("slot %+v", s)
		}
	}
	if torn > 1 || torn == 1 && a.Seq%2 == 0 {
		t.Errorf("%d torn slots, the anchor's sequence is %d", torn, a.Seq)
	}
	if n := int(a.Regions); n-len(slots) > 1 || len(slots)-n > 1 {
		t.Errorf("%d slots, the anchor counts %d", len(slots), n)
	}
	if _, err := tables.Linked(p.Memory(), a); err != nil {
		t.Error(err)
	}
	if rings, err := tables.Rings(p.Memory(), a); err != nil || len(rings) != 1 {
		t.Errorf("%d rings, %v", len(rings), err)
	}
	return torn
}

// checkRing reads the log: whole records in their order, and no more bytes
// lost than those that the three writers were writing.
func checkRing(t *testing.T, path string) (torn int) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return 0
	}
	records, lost, err := logring.Read(b)
	if err != nil || len(records) == 0 {
		t.Errorf("log ring: %d records, %v", len(records), err)
		return 0
	}
	next := map[int64]int64{}
	for _, r := range records {
		if r.Message != "busy" {
			clear(next) // another run of the program
			continue
		}
		if len(r.Attrs) != 3 {
			t.Errorf("record %+v", r)
			continue
		}
		g, i := r.Attrs[0].Value.(int64), r.Attrs[1].Value.(int64)
		if want, ok := next[g]; ok && i < want {
			t.Errorf("goroutine %d: record %d after %d", g, i, want-1)
		}
		next[g] = i + 1
		if text := r.Attrs[2].Value.(string); text != "0123456789abcdefghijklmnopqrstuvwxyz"[:i%36] {
			t.Errorf("record %d has %q", i, text)
		}
	}
	if lost > 0 {
		torn = 1
	}
	return torn
}

// checkPstore reads the pstore file: every record is whole or marked as
// torn, every line of the console is whole.
func checkPstore(t *testing.T, path string) (torn int) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return 0
	}
	zones, err := ramoops.Read(b)
	if err != nil || len(zones) != 4 {
		t.Errorf("pstore: %d zones, %v", len(zones), err)
		return 0
	}
	for i, z := range zones {
		if z.Torn {
			torn++
		}
		switch {
		case z.Kind == ramoops.Dump && !z.Torn && !strings.HasSuffix(z.Text, "whole to its end.\n") && !strings.HasSuffix(z.Text, "all is well\n"):
			t.Errorf("zone %d: %q", i, z.Text)
		case z.Kind == ramoops.Text && i != 2, z.Kind == ramoops.Crash:
			t.Errorf("zone %d is %v", i, z.Kind)
		}
		if z.Kind != ramoops.Text {
			continue
		}
		for line := range strings.Lines(z.Text) {
			var when, level, word string
			if n, _ := fmt.Sscan(line, &when, &level, &word); n != 3 || !strings.HasSuffix(when, "Z") || line[len(line)-1] != '\n' ||
				word == "busy" && !strings.Contains(line, " text=") {
				t.Errorf("console: %q", line)
			}
		}
	}
	return torn
}

// checkBlocks reads kinfo's block and minidump's table.
func checkBlocks(t *testing.T, dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "kinfo"))
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := kinfo.Decode(b); err != nil {
		t.Error(err)
	}
	if b, err = os.ReadFile(filepath.Join(dir, "minidump")); err != nil {
		t.Error(err)
		return
	}
	if s, err := minidump.ParseGlobal(b); err != nil || s.Count < 2 || s.Count > minidump.MaxRegions {
		t.Errorf("%+v, %v", s, err)
	}
}
