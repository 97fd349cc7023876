package debuginfo_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/debuginfo"
	"github.com/meminspect/meminspect/target/exe"
	"github.com/meminspect/meminspect/target/gotypes"
	"github.com/meminspect/meminspect/target/module"
)

const source = `package main

import (
	"fmt"
	"net/http"
	"os"
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
)

func main() {
	fmt.Println(number, things, self, handler, os.Args, http.DefaultTransport)
}
`

// The types of variables are those that the program has, whoever linked it.
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
		data, err := debuginfo.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		all, err := debuginfo.Variables(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		only, err := debuginfo.Variables(data, func(pkg string) bool { return pkg == "main" })
		if err != nil || len(only) != 4 {
			t.Errorf("%v: variables of main %v, %v", args, only, err)
		}
		want := map[string]string{
			"main.number": "int", "main.things": "map[string]main.thing", "main.self": "main.thing", "main.handler": "http.Handler",
			"os.Args": "[]string", "net/http.DefaultTransport": "http.RoundTripper",
		}
		types := gotypes.New(f, p)
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
			typ, err := v.Type(data, p, types, 0)
			if v.Name == "main.handler" && err != nil {
				continue // nothing needs the type of an interface but what reflects on it
			}
			if err != nil || typ.String() != name || typ.Size != sym.Size {
				t.Errorf("%v: %s is %v, %v; want %s of %d bytes", args, v.Name, typ, err, name, sym.Size)
			}
			// In a process that was moved, the types were moved with it.
			if moved := f.Loaded(0x10000); f.Type == 3 {
				q, err := module.OfImage(moved, moved)
				if err != nil {
					t.Fatal(err)
				}
				there, err := v.Type(data, q, gotypes.New(moved, q), 0x10000)
				if err != nil || there.Addr != typ.Addr+target.Address(0x10000) || there.String() != name {
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
	if _, err := debuginfo.Open(f); err != nil && !errors.Is(err, debuginfo.ErrNone) {
		t.Errorf("without debug information: %v", err)
	}
}
