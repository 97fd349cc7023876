package value

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func TestMain(m *testing.M) {
	code := m.Run()
	kinds.Cleanup()
	os.Exit(code)
}

// What is remarked of a value is what the program itself prints of it, with every release
// that lays it out differently.
func TestDecoded(t *testing.T) {
	for i, b := range []kinds.Build{{}, {Toolchain: "go1.27.3"}, {Toolchain: "go1.22.12"}, {Toolchain: "go1.24.9"}, {Toolchain: "go1.25.5"}} {
		b.Dir = "testdata/decoded"
		t.Run(b.String(), func(t *testing.T) {
			if i > 2 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			prog := kinds.Attach(t, kinds.Start(t, kinds.Make(t, b)), nil)
			p := inspect.NewProgram(prog.Prog, prog.Mem)
			p.Core.Capture = &note.Capture{Clock: process.Clock()}
			wants := Read(p, prog.Vars[0].Type, prog.Vars[0].Addr, Limits{})
			for _, e := range wants.Entries {
				checkDecoded(t, p, prog, e.Key.Text, e.Value.Text)
			}
			if len(wants.Entries) < len(prog.Vars)-1 || len(wants.Entries) < 16 {
				t.Errorf("%d values of %d variables", len(wants.Entries), len(prog.Vars))
			}
		})
	}
}

// checkDecoded compares what is remarked of a variable.
func checkDecoded(t *testing.T, p *inspect.Program, prog *kinds.Program, name, want string) {
	t.Helper()
	for _, v := range prog.Vars {
		if v.Name != name {
			continue
		}
		if !printable(want) || strings.Contains(want, "\n") {
			want = strconv.Quote(want)
		}
		for _, limits := range []Limits{{}, {Depth: 1}} {
			got := Read(p, v.Type, v.Addr, limits)
			if name == "copy" {
				got = got.field("Timer")
				if p.Version().Minor < 23 { // it is whole
					want = "fires in 59m"
				}
			}
			for got.Shape == Interface || got.Shape == Pointer && got.Elem != nil {
				got = got.Elem
			}
			text := strings.Join(got.State, "; ")
			if text = seconds.ReplaceAllString(text, "${1}m$2"); text != want {
				t.Errorf("%s: %q, want %q\n%s", name, text, want, got.Go())
			}
		}
		return
	}
	t.Errorf("no variable %s", name)
}

// seconds are those that the program took.
var seconds = regexp.MustCompile(`(in [0-9hm]+)m[0-9.]+s(.*)`)
