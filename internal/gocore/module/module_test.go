package module_test

import (
	"errors"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// self opens the test's own executable and returns by how much it was moved.
func self(tb testing.TB) (*exe.Image, *module.Program) {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	f, err := exe.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	p, err := module.OfFile(f)
	if err != nil {
		tb.Fatal(err)
	}
	functions, err := p.Modules[0].Functions(f)
	if err != nil {
		tb.Fatal(err)
	}
	here := reflect.ValueOf(self).Pointer()
	for i := range functions.Len() {
		fn, err := functions.Func(i)
		if err != nil {
			tb.Fatal(err)
		}
		if fn.Name == runtime.FuncForPC(here).Name() {
			image := f.Loaded(memory.Address(here) - fn.Range.Start)
			p, err := module.OfImage(image, image)
			if err != nil {
				tb.Fatal(err)
			}
			return image, p
		}
	}
	tb.Fatal("the test's executable does not hold the test")
	return nil, nil
}

// Every function of the table is what the runtime reports.
func TestFunctions(t *testing.T) {
	image, p := self(t)
	if p.Version.Text != runtime.Version() {
		t.Errorf("version %q, want %q", p.Version.Text, runtime.Version())
	}
	if p.BuildInfo == nil || p.BuildInfo.Path == "" {
		t.Errorf("build information: %+v", p.BuildInfo)
	}
	functions, err := p.Modules[0].Functions(image)
	if err != nil {
		t.Fatal(err)
	}
	if functions.Len() < 1000 {
		t.Fatalf("%d functions", functions.Len())
	}
	for i := range functions.Len() {
		f, err := functions.Func(i)
		if err != nil {
			t.Fatal(err)
		}
		if f.Range.Empty() {
			continue
		}
		entry := f.Range.Start
		// Frames takes return addresses and knows inlined calls: the first
		// frame has the line, the last one the function.
		frames := runtime.CallersFrames([]uintptr{uintptr(entry) + 1})
		inner, more := frames.Next()
		outer := inner
		for more {
			outer, more = frames.Next()
		}
		// The runtime drops the brackets' content of generic functions, and
		// takes the name at offset 0, and the linker's own, for none.
		if outer.Function == "" && (i == 0 || strings.HasPrefix(f.Name, "go:")) {
			continue
		}
		if name, _, _ := strings.Cut(f.Name, "["); !strings.HasPrefix(outer.Function, name) {
			t.Fatalf("%v is %s, want %s", entry, f.Name, outer.Function)
		}
		mid := entry.Add(f.Range.Size() / 2)
		at, err := functions.At(mid)
		if err != nil || at.Name != f.Name {
			t.Fatalf("%v, in the middle of %s: %+v, %v", mid, f.Name, at, err)
		}
		file, line, err := f.Line(entry)
		if err != nil && inner.Line == 0 {
			continue // code without a source line
		}
		if err != nil || file != inner.File || line != inner.Line {
			t.Fatalf("%s at %s:%d, %v; want %s:%d", f.Name, file, line, err, inner.File, inner.Line)
		}
	}
	for _, pc := range []memory.Address{0, p.Modules[0].Text.Start - 1, p.Modules[0].Text.End, ^memory.Address(0)} {
		if f, err := functions.At(pc); !errors.Is(err, module.ErrNoFunction) {
			t.Errorf("%v is in %+v, %v", pc, f, err)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct {
		text  string
		minor int
		x     string
		bad   string
	}{
		{"go1.21.13", 21, "", ""},
		{"go1.27rc1", 27, "", ""},
		{"go1.26", 26, "", ""},
		{"go1.27.3 X:mapsplitgroup,nojsonv2", 27, "mapsplitgroup,nojsonv2", ""},
		{"go1.25.5 X:greenteagc", 25, "greenteagc", ""},
		{"go1.26.8-X:nogreenteagc", 26, "nogreenteagc", ""},
		{"go1.27.3-X:mapsplitgroup,nogreenteagc", 27, "mapsplitgroup,nogreenteagc", ""},
		{"go1.26.1-acme.2-X:nogreenteagc", 26, "nogreenteagc", ""},
		{"devel go1.27-0123abcd Mon Jan 1 00:00:00 2026 +0000", 27, "", ""},
		{"go1.26.1-acme.2", 26, "", ""},
		{"go1.20.4", 20, "", "programs of Go 1.21 to 1.27"},
		{"go1.28.0", 28, "", "newer than this tool knows"},
		{"go1.2800000000000000000000", 0, "", "not known"},
		{"go2.0", 0, "", "not known"},
		{"devel +abcdef", 0, "", "not known"},
		{"", 0, "", "not known"},
	} {
		v, err := module.ParseVersion(c.text)
		switch {
		case c.bad == "" && (err != nil || v.Minor != c.minor || v.Experiments != c.x):
			t.Errorf("%q: %+v, %v", c.text, v, err)
		case c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)):
			t.Errorf("%q: error %v, want one with %q", c.text, err, c.bad)
		}
	}
	v, _ := module.ParseVersion("go1.27.3 X:mapsplitgroup,foo")
	if !v.HasExperiment("foo") || v.HasExperiment("map") {
		t.Errorf("experiments of %+v", v)
	}
}
