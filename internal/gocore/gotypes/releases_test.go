package gotypes_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/matrix"
)

// builds are the toolchains and the kinds of builds for which the types of one
// program are read. The first always runs; other tests read this Go's own
// types.
var builds = []struct {
	toolchain string
	env       string
	args      string
}{
	{"go1.27.3", "", ""},
	{"go1.24.9", "", "-buildmode=pie -ldflags=-s"},
	{"local", "", ""},
	{"go1.21.13", "", ""},
	{"go1.22.12", "", ""},
	{"go1.23.12", "", ""},
	{"go1.24.9", "GOEXPERIMENT=noswissmap", ""},
	{"go1.25.5", "", "-ldflags=-s"},
	{"go1.25.5", "", "-buildmode=pie -ldflags=-linkmode=external"},
	{"local", "", "-buildmode=pie -ldflags=-linkmode=external"},
	{"go1.27.3", "GOEXPERIMENT=mapsplitgroup", ""},
	{"go1.27.3", "", "-buildmode=pie -ldflags=-s"},
}

const alwaysRun = 1

// What the file has of a program's types is what the program itself prints.
func TestReleases(t *testing.T) {
	for i, b := range builds {
		t.Run(strings.TrimSpace(b.toolchain+" "+b.env+" "+b.args), func(t *testing.T) {
			if i >= alwaysRun && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			t.Parallel()
			bin := filepath.Join(t.TempDir(), "program")
			build := exec.Command("go", append(append([]string{"build", "-o", bin}, strings.Fields(b.args)...), ".")...)
			build.Dir = "testdata/program"
			build.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN="+b.toolchain, b.env)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v\n%s", err, out)
			}
			want, err := exec.Command(bin).Output()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(fromFile(t, bin), "\n")); diff != "" {
				t.Errorf("the program reports (-), the file reports (+):\n%s", diff)
			}
		})
	}
}

// fromFile writes what the program writes, from its file.
func fromFile(t *testing.T, path string) string {
	f, err := exe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := module.OfFile(f)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	magic := le.AppendUint64(le.AppendUint64(nil, 0x1badf00d5eed1e55), 0x0ddba11c0ffee000)
	for addr := range memory.Search(f, magic, 8, func(s memory.Segment) bool { return s.Write }) {
		w := writer{t: t, seen: map[memory.Address]bool{}}
		set, r := gotypes.New(f, p), memory.Reader{Memory: f}
		count, err := r.Uint64(addr.Add(16))
		if err != nil {
			t.Fatal(err)
		}
		for i := range count {
			word, err := r.Pointer(addr.Add(24 + i*16))
			if err != nil {
				t.Fatal(err)
			}
			ptr, err := set.At(word)
			if err != nil {
				t.Fatal(err)
			}
			w.elem(ptr)
		}
		return w.String()
	}
	t.Fatal("the roots were not found")
	return ""
}

type writer struct {
	strings.Builder
	t    *testing.T
	seen map[memory.Address]bool
}

func (w *writer) elem(t *gotypes.Type) {
	elem, err := t.Elem()
	if err != nil {
		w.t.Fatal(err)
	}
	w.show(elem)
}

func (w *writer) show(t *gotypes.Type) {
	if w.seen[t.Addr] {
		return
	}
	w.seen[t.Addr] = true
	fmt.Fprintf(w, "%v pkg=%q name=%q kind=%d size=%d align=%d/%d\n", t, t.PkgPath, t.Name(), t.Kind, t.Size, t.Align, t.FieldAlign)
	switch t.Kind {
	case gotypes.Struct:
		for _, f := range t.Fields {
			fmt.Fprintf(w, "\t%s %v @%d %v %v\n", f.Name, f.Type, f.Offset, f.Embedded, f.Exported)
		}
		for _, f := range t.Fields {
			w.show(f.Type)
		}
	case gotypes.Map:
		l, err := t.MapLayout()
		if err != nil {
			w.t.Errorf("%v", err)
			return
		}
		fmt.Fprintf(w, "\tindirect %v %v\n", l.IndirectKey, l.IndirectElem)
		w.show(l.Key)
		w.elem(t)
	case gotypes.Array, gotypes.Pointer, gotypes.Slice, gotypes.Chan:
		w.elem(t)
	}
}
