//go:build linux

package privacy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/inspect/waits"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A skeleton keeps the words that are addresses of values which the core has, of what
// goroutines wait for, of code, and of the stack itself. It keeps no other word.
func TestWordsOfSkeletons(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	exe := filepath.Join(t.TempDir(), "pointers")
	if out, err := exec.Command("go", "build", "-o", exe, "../testdata/pointers").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pid, keep, drop := startPointers(t, exe)
	tally := matrix.NewTally(t)
	whole := gcore(t, pid)
	for name, write := range map[string]func(*testing.T) string{
		"capture":                      func(t *testing.T) string { return captureFile(t, pid, capture.Options{Stop: capture.StopAlways}) },
		"capture of a running program": func(t *testing.T) string { return captureFile(t, pid, capture.Options{Stop: capture.StopNever}) },
		"capture, small budget": func(t *testing.T) string {
			return captureFile(t, pid, capture.Options{Stop: capture.StopAlways, Budget: 300 << 10})
		},
		"capture, data": func(t *testing.T) string {
			return captureFile(t, pid, capture.Options{Stop: capture.StopAlways, Mode: capture.Data, Stacks: capture.StacksSkeleton})
		},
		"filter": func(t *testing.T) string {
			small := filepath.Join(t.TempDir(), "small.core")
			meminspect(t, "filter", whole, "-q", "-o", small)
			return small
		},
	} {
		tally.RunIn(t, name, func(t *testing.T) {
			found := checkWords(t, write(t), pid)
			for word, what := range keep {
				if !found[word] && name != "capture, small budget" {
					t.Errorf("the stacks lack %v, %s", word, what)
				}
			}
			for word := range drop {
				if found[word] {
					t.Errorf("a stack has %v", word)
				}
			}
		})
	}
}

// startPointers starts the program and returns the words that it printed.
func startPointers(t *testing.T, exe string) (pid int, keep, drop map[memory.Address]string) {
	t.Helper()
	cmd := exec.Command(exe)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	keep, drop = map[memory.Address]string{}, map[memory.Address]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		if kind == "ready" {
			break
		}
		word, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		map[string]map[memory.Address]string{"keep": keep, "drop": drop}[kind][memory.Address(word)] = lines.Text()
	}
	if len(keep) < 5 || len(drop) < 16 {
		t.Fatalf("%d words to keep, %d to drop", len(keep), len(drop))
	}
	return cmd.Process.Pid, keep, drop
}

func captureFile(t *testing.T, pid int, o capture.Options) string {
	t.Helper()
	core, err := capture.Capture(context.Background(), pid, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "captured.core")
	var data bytes.Buffer
	if _, err := core.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// maxStack is the size of the largest stack of the program.
const maxStack = 64 << 10

// checkWords checks each word of the skeletons of a core, and returns those that they keep.
func checkWords(t *testing.T, path string, pid int) map[memory.Address]bool {
	t.Helper()
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	maps, err := p.Maps()
	if err != nil {
		t.Fatal(err)
	}
	known := knownAddresses(t, prog)
	desc, ok := core.Note(note.Owner, note.TypeSkeletons)
	if !ok {
		t.Fatal("the core has no skeletons")
	}
	ranges, err := note.DecodeExtents(note.TypeSkeletons, desc)
	if err != nil || len(ranges) == 0 {
		t.Fatalf("%d skeletons, %v", len(ranges), err)
	}
	var mark [8]byte
	for i := range mark {
		mark[i] = elfcore.MarkByte
	}
	found := map[memory.Address]bool{}
	for _, r := range ranges {
		data := make([]byte, r.Size)
		if _, err := core.ReadMemory(r.Addr, data); err != nil {
			continue // the budget cut it
		}
		for off := 0; off+8 <= len(data); off += 8 {
			word := memory.Address(binary.LittleEndian.Uint64(data[off:]))
			if [8]byte(data[off:]) == mark {
				continue
			}
			found[word] = true
			own := word >= memory.Address(r.Addr+r.Size)-maxStack && word <= memory.Address(r.Addr+r.Size)
			code := false
			for i := range maps {
				code = code || maps[i].Exec && maps[i].Contains(word)
			}
			if !own && !code && known[word] == "" {
				t.Errorf("the word at %#x is %v, which is not the address of a value in the core", r.Addr+uint64(off), word)
			}
		}
	}
	return found
}

// knownAddresses returns the addresses of values that a core has, and of what its
// goroutines wait for.
func knownAddresses(t *testing.T, prog *inspect.Program) map[memory.Address]string {
	t.Helper()
	known := map[memory.Address]string{}
	paths.All(prog, value.Limits{Elements: -1}, func(path *paths.Path, v *value.Value) bool {
		if v.Absent == "" {
			known[v.Addr] = path.String()
		}
		return true
	}, nil)
	list, _, err := stacks.Read(prog)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := waits.Read(prog, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.Addr != 0 {
			known[o.Addr] = fmt.Sprint("waited for: ", o.Kind)
		}
	}
	return known
}
