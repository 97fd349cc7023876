package debuginfo_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

const source = `package main

import (
	"fmt"
	"net/http"
	"os"
	"unsafe"
)

type thing struct {
	Name string
	next *thing
}

type alias = map[string]thing

var (
	number  = 7
	things  alias
	self    thing
	handler http.Handler
	unseen  tree
	some    []tree
)

type tree struct {
	kids  []tree
	up    *tree
	label [2]string
	any   any
	err   error
	f     func(int) tree
	p     unsafe.Pointer
	m     map[int]tree
	c     complex64
	on    bool
}

func main() {
	fmt.Println(number, things, self, handler, os.Args, http.DefaultTransport, unseen.on, len(some))
}
`

// wantUnseen checks the layout of a type without a descriptor.
func wantUnseen(t *testing.T, typ *gotypes.Type) {
	t.Helper()
	var got []string
	for _, f := range typ.Fields {
		got = append(got, fmt.Sprintf("%s %v %d+%d", f.Name, f.Type.Kind, f.Offset, f.Type.Size))
	}
	want := []string{"kids slice 0+24", "up ptr 24+8", "label array 32+32", "any interface 64+16", "err interface 80+16",
		"f func 96+8", "p unsafe.Pointer 104+8", "m unsafe.Pointer 112+8", "c complex64 120+8", "on bool 128+1"}
	if !slices.Equal(got, want) || typ.Align != 8 || typ.PtrBytes != 120 || typ.PkgPath != "main" || typ.Name() != "tree" {
		t.Errorf("%+v\nhas %q\nwant %q", typ, got, want)
	}
	for i, field := range []string{"kids", "up"} {
		f, _ := typ.Field(field)
		if elem, err := f.Type.Elem(); elem != typ {
			t.Errorf("%d: it does not lead back to itself: %v, %v", i, elem, err)
		}
	}
	if empty, err := typ.Fields[3].Type, typ.Fields[4].Type; empty.Methods != 0 || err.Methods == 0 {
		t.Errorf("methods %d and %d", empty.Methods, err.Methods)
	}
}

// The types of variables are correct, whichever linker was used.
func TestVariables(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"main.go": source, "go.mod": "module example.com/vars\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{nil, {"-buildmode=pie", "-ldflags=-linkmode=external"}} {
		bin := filepath.Join(dir, "program")
		cmd := exec.Command("go", append(append([]string{"build", "-o", bin}, args...), ".")...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		f, err := exe.Open(bin)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p, err := module.OfFile(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := debuginfo.Open(f, debuginfo.NoLimit)
		if err != nil {
			t.Fatal(err)
		}
		all, err := debuginfo.Variables(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		only, err := debuginfo.Variables(data, func(pkg string) bool { return pkg == "main" })
		if err != nil || len(only) != 6 {
			t.Errorf("%v: variables of main %v, %v", args, only, err)
		}
		want := map[string]string{
			"main.number": "int", "main.things": "map[string]main.thing", "main.self": "main.thing", "main.handler": "http.Handler",
			"main.unseen": "main.tree", "main.some": "[]main.tree",
			"os.Args": "[]string", "net/http.DefaultTransport": "http.RoundTripper",
		}
		types, err := debuginfo.NewTypes(data, p, gotypes.New(f, p), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			name, ok := want[v.Name]
			if !ok {
				continue
			}
			delete(want, v.Name)
			sym, err := f.Symbol(v.Name)
			if err != nil || sym.Addr != v.Addr {
				t.Errorf("%v: %s at %v, the symbol table has %+v, %v", args, v.Name, v.Addr, sym, err)
			}
			// Nothing in the program needs the descriptors of these.
			made := slices.Contains([]string{"main.unseen", "main.some", "main.handler"}, v.Name)
			typ, err := types.Of(v)
			if err != nil || typ.String() != name || typ.Size != sym.Size || typ.Made != made {
				t.Errorf("%v: %s is %+v, %v; want %s of %d bytes", args, v.Name, typ, err, name, sym.Size)
				continue
			}
			if v.Name == "main.unseen" {
				wantUnseen(t, typ)
			}
			// In a process that was moved, the types were moved with it.
			if moved := f.Loaded(0x10000); f.Type == 3 {
				q, err := module.OfImage(moved, moved)
				if err != nil {
					t.Fatal(err)
				}
				elsewhere, err := debuginfo.NewTypes(data, q, gotypes.New(moved, q), 0x10000)
				if err != nil {
					t.Fatal(err)
				}
				there, err := elsewhere.Of(v)
				if err != nil || !made && there.Addr != typ.Addr+memory.Address(0x10000) || there.String() != name {
					t.Errorf("moved: %s is %v, %v", v.Name, there, err)
				}
			}
		}
		if len(want) != 0 {
			t.Errorf("%v: not found: %v", args, want)
		}
	}
	// The test's own executable has none: go test links without.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := exe.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := debuginfo.Open(f, debuginfo.NoLimit); err != nil && !errors.Is(err, debuginfo.ErrNone) {
		t.Errorf("without debug information: %v", err)
	}
}
