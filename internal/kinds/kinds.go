// Package kinds builds and runs a program with a variable of every kind, for
// the tests of all that reads programs from outside. The program lists its
// variables in a table that is found by a magic value, with their names,
// addresses and runtime types: no symbols, no DWARF and no annotations are
// needed to know what there is to read.
package kinds

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Build is a way to build the program.
type Build struct {
	Toolchain string // GOTOOLCHAIN, empty for the one that runs the test
	Args      string // of go build
	Env       string // more of the environment
	Debug     bool   // without optimisation and inlining
	Tables    bool   // with all variables annotated; needs Go 1.24
	Dir       string // of another program's source, empty for Source
}

func (b Build) String() string {
	words := []string{b.Toolchain, b.Env, b.Args}
	if b.Debug {
		words = append(words, "-N -l")
	}
	if b.Tables {
		words = append(words, "annotated")
	}
	if name := strings.Join(strings.Fields(strings.Join(words, " ")), " "); name != "" {
		return name
	}
	return "plain"
}

// Source is the folder of the program's source.
func Source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "testdata", "program")
}

var (
	builtMu sync.Mutex
	built   = map[Build]string{}
	builds  int // that were tried
	// builtDir makes the folder of all that Make builds, which outlives a test.
	builtDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "meminspect-kinds-") })
)

// Make builds the program, once a test binary, and returns its path.
func Make(tb testing.TB, b Build) string {
	tb.Helper()
	builtMu.Lock()
	defer builtMu.Unlock()
	if path, ok := built[b]; ok {
		return path
	}
	dir, err := builtDir()
	if err == nil {
		builds++
		dir = filepath.Join(dir, strconv.Itoa(builds))
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "kinds")
	args := append([]string{"build", "-o", path}, strings.Fields(b.Args)...)
	if b.Debug {
		args = append(args, "-gcflags=all=-N -l")
	}
	source, work := cmp.Or(b.Dir, Source()), "off"
	if b.Tables {
		args = append(args, "-tags=tabled")
		work = filepath.Join(dir, "go.work")
		uses := fmt.Sprintf("go 1.24\n\nuse (\n\t%q\n\t%q\n)\n", source, filepath.Join(Source(), "../../../../runtime"))
		if err := os.WriteFile(work, []byte(uses), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = source
	toolchain := b.Toolchain
	if toolchain == "" {
		toolchain = "local"
	}
	cmd.Env = append(os.Environ(), "GOWORK="+work, "GOFLAGS=", "GOTOOLCHAIN="+toolchain)
	cmd.Env = append(cmd.Env, strings.Fields(b.Env)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build %v: %v\n%s", b, err, out)
	}
	built[b] = path
	return path
}

// Cleanup removes what Make built; TestMain calls it after the tests.
func Cleanup() {
	if len(built) == 0 {
		return
	}
	if dir, err := builtDir(); err == nil {
		os.RemoveAll(dir)
	}
}

// A Program is the running program, opened for reading.
type Program struct {
	PID   int
	Mem   memory.Mapped
	Prog  *module.Program
	Types *gotypes.Set
	Vars  []Var
	// Runtime are the Go runtime's own variables, by the symbols.
	Runtime memory.Ranges
}

// A Var is one of the program's variables.
type Var struct {
	Name string // as debuggers know it
	Addr memory.Address
	Type *gotypes.Type
}

// Attach opens the running program. trace, unless it is nil, is put between
// the memory and those who read types.
func Attach(tb testing.TB, pid int, trace func(memory.Memory) memory.Memory) *Program {
	tb.Helper()
	k := Open(tb, pid, trace)
	k.Vars = Table(tb, k.Mem, k.Types)
	return k
}

// Open is Attach for any Go program.
func Open(tb testing.TB, pid int, trace func(memory.Memory) memory.Memory) *Program {
	tb.Helper()
	p, err := process.Open(pid)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	maps, err := p.Maps()
	if err != nil {
		tb.Fatal(err)
	}
	mem := &memory.Spliced{}
	for _, m := range maps {
		if m.Read && !strings.HasPrefix(m.Path, "[v") {
			mem.Put(memory.Segment{Range: m.Range, Write: m.Write, Exec: m.Exec}, p.Memory())
		}
	}
	f, err := exe.Open(p.ExePath())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	name, err := p.ExeName()
	if err != nil {
		tb.Fatal(err)
	}
	bias := memory.Address(0)
	for _, m := range maps {
		if m.Path == name {
			bias = m.Start - f.LowestAddress()&^4095
			break
		}
	}
	prog, err := module.OfImage(f.Loaded(bias), mem)
	if err != nil {
		tb.Fatal(err)
	}
	k := &Program{PID: pid, Mem: mem, Prog: prog}
	var typeMem memory.Memory = mem
	if trace != nil {
		typeMem = trace(mem)
	}
	k.Types = gotypes.New(typeMem, prog)
	symbols, err := f.Symbols()
	if err != nil {
		tb.Logf("no symbols: %v", err)
	}
	var vars []memory.Range
	for _, s := range symbols {
		r := memory.RangeOf(s.Addr+bias, s.Size)
		if strings.HasPrefix(s.Name, "runtime.") && !prog.Modules[0].Text.Contains(r.Start) && s.Size < 1<<20 {
			if _, err := mem.ReadAt(make([]byte, r.Size()), r.Start); err == nil {
				vars = append(vars, r)
			}
		}
	}
	k.Runtime = memory.RangesOf(vars...)
	return k
}

// Table reads the program's list of variables.
func Table(tb testing.TB, mem memory.Mapped, types *gotypes.Set) []Var {
	tb.Helper()
	var magic [16]byte
	binary.LittleEndian.PutUint64(magic[:], 0x6b696e6473766172)
	binary.LittleEndian.PutUint64(magic[8:], 0x1d0c8a5f72e3b946)
	r := memory.Reader{Memory: mem}
	for at := range memory.Search(mem, magic[:], 8, func(s memory.Segment) bool { return s.Write }) {
		rows, err := r.Slice(at.Add(16))
		if err != nil || rows.Len < 10 || rows.Len > 10000 {
			continue
		}
		var vars []Var
		for i := range rows.Len {
			row := rows.Data.Add(i * 32)
			name, err := r.String(row, 1000)
			if err != nil {
				tb.Fatalf("row %d of the table of variables: %v", i, err)
			}
			ptrType, _ := r.Pointer(row.Add(16))
			addr, _ := r.Pointer(row.Add(24))
			ptr, err := types.At(ptrType)
			if err != nil {
				tb.Fatalf("type of %s: %v", name, err)
			}
			elem, err := ptr.Elem()
			if err != nil {
				tb.Fatalf("type of %s: %v", name, err)
			}
			vars = append(vars, Var{name, addr, elem})
		}
		return vars
	}
	tb.Fatal("the program has no table of variables")
	return nil
}
