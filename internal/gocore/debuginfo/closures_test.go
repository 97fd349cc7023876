package debuginfo_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

const closures = `package main

import "fmt"

type server struct{ hits int }

func (s *server) handle() int { s.hits++; return s.hits }

type view struct{ s *server }

func (v view) get() int { return v.s.hits }

//go:noinline
func (view) none() int { return 1 }

type plain struct{ n int }

var origin = plain{3}

func (p plain) value() int { return p.n }

type geter interface{ get() int }

//go:noinline
func make3(name string, tags map[string]int, s *server) []func() int {
	count := 0
	var g geter = view{s}
	return []func() int{
		func() int { count++; return len(name) + len(tags) + count },
		s.handle, view{s}.get, view{s}.none, g.get, origin.value,
		func() int { return 7 },
	}
}

//go:noinline
func large(block [40]byte, changed [24]byte) func(int) byte {
	return func(i int) byte { changed[i]++; return block[i] + changed[i] }
}

func main() {
	fmt.Println(large([40]byte{}, [24]byte{})(3))
	for _, f := range make3("a", map[string]int{"a": 1}, new(server)) {
		fmt.Println(f())
	}
}
`

// What a closure holds is known of function literals and of method values, if the
// package of the method has the code.
func TestClosures(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"main.go": closures, "go.mod": "module example.com/vars\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{nil, {"-gcflags=-l -N"}, {"-buildmode=pie", "-ldflags=-linkmode=external"}} {
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
		const bias = 0x10000
		image := f.Loaded(bias)
		if f.Type != 3 {
			image = f.Loaded(0)
		}
		p, err := module.OfImage(image, image)
		if err != nil {
			t.Fatal(err)
		}
		data, err := debuginfo.Open(f, debuginfo.NoLimit)
		if err != nil {
			t.Fatal(err)
		}
		types, err := debuginfo.NewTypes(data, p, gotypes.New(image, p), image.Bias)
		if err != nil {
			t.Fatal(err)
		}
		c := debuginfo.NewClosures(types)
		large := "[8 *[24]uint8 or its target]"
		if slices.Contains(args, "-gcflags=-l -N") {
			large = "[8 *[24]uint8 or its target 16 *[40]uint8 or its target]"
		}
		for symbol, want := range map[string]string{
			"main.make3.func1":         "[8 *int or its target 16 string 32 map[string]int]",
			"main.make3.func2":         "[]",
			"main.(*server).handle-fm": "[8 *main.server]",
			"main.view.get-fm":         "[8 main.view]",
			"main.geter.get-fm":        "[]",
			"main.main":                "[]",
			"main.large.func1":         large,
		} {
			s, err := f.Symbol(symbol)
			if err != nil {
				t.Fatal(err)
			}
			vars, err := c.Of(s.Addr + image.Bias)
			got := "["
			for i, v := range vars {
				if i > 0 {
					got += " "
				}
				got += fmt.Sprintf("%d %v", v.Offset, v.Type)
				if v.Address {
					got += " or its target"
				}
			}
			if got += "]"; err != nil || got != want {
				t.Errorf("%v: %s has %s, %v; want %s", args, symbol, got, err, want)
			}
		}
		for function, want := range map[string]string{
			"main.plain.value-fm": "main.plain", "main.(*server).handle-fm": "*main.server",
			"main.gone.get-fm": "", "main.plain.value": "", "main": "", "-fm": "",
		} {
			got := ""
			v, ok := c.MethodValue(function)
			if ok {
				got = v.Type.String()
			}
			if got != want || ok && v.Offset != 8 {
				t.Errorf("%v: %s has the receiver %q at %d, want %q", args, function, got, v.Offset, want)
			}
		}
	}
}
