package linker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/linker"
	"github.com/meminspect/meminspect/runtime/format/nameid"
)

func list(tb testing.TB, text string) *linker.IncludeList {
	tb.Helper()
	l, err := linker.ParseIncludeList("list", strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// included lists the entries that a list added: name, type, size and line.
func included(p *linker.Program) []string {
	var all []string
	for _, e := range p.Entries() {
		if e.Included != "" {
			all = append(all, e.String()+" "+e.TypeName()+" "+e.Included)
		}
	}
	return all
}

func TestInclude(t *testing.T) {
	p := open(t, plainBinary(t))
	findings, err := p.Include(list(t, `
# from outside
os.Args depth=2 budget=64KiB
runtime.printBacklog
example.com/program/store.*
!example.com/program/store.big
main.signingKey
os.Std* # three of them
os.Args depth=9
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"example.com/program.signingKey []uint8 list:7",
		"example.com/program/store.items struct { sync.Mutex; all map[string][]uint8; hits [256]uint32 } list:5",
		"os.Args []string list:3",
		"os.Stderr *os.File list:8",
		"os.Stdin *os.File list:8",
		"os.Stdout *os.File list:8",
		"runtime.printBacklog [512]uint8 list:4",
	}
	got := included(p)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("included (-want +got):\n%s", diff)
	}
	for _, e := range p.Entries() {
		switch {
		case e.Included == "":
		case e.String() == "os.Args":
			if e.Depth != 2 || !e.HasDepth || e.Budget != 64<<10 || e.ID != nameid.Of("os", "Args") || e.Size != 24 {
				t.Errorf("os.Args: %+v", e)
			}
		case e.String() == "runtime.printBacklog":
			if e.Size != 512 || !e.SizeKnown || !e.Type.Made {
				t.Errorf("a variable without a type descriptor: %+v", e)
			}
		}
	}
	// big is annotated, and the list forbids it.
	if len(findings) != 1 || findings[0].Code != linker.Forbidden || findings[0].Name != "big" || !strings.Contains(findings[0].Text, "list:6 forbids example.com/program/store.big") {
		t.Errorf("findings %v", findings)
	}
	// items is also annotated, under the same ID: not a collision.
	found, err := p.Check(linker.CheckOptions{})
	if err != nil || slices.ContainsFunc(found, func(f linker.Finding) bool { return f.Code == linker.Collision }) {
		t.Errorf("findings %v, %v", found, err)
	}
	// The map records the line of each included entry.
	m := p.Map()
	if m.Totals.Included != len(want) || !slices.ContainsFunc(m.Entries, func(e linker.MapEntry) bool { return e.Included == "list:7" && e.Name == "signingKey" }) {
		t.Errorf("totals %+v", m.Totals)
	}
}

// A list with an error has no effect.
func TestIncludeRefused(t *testing.T) {
	p := open(t, plainBinary(t))
	before := len(p.Entries())
	_, err := p.Include(list(t, "os.Args\nos.NoSuchThing\nnet/htp.*\n!main.nothing"))
	if err == nil {
		t.Fatal("names that match nothing were taken")
	}
	for _, want := range []string{"list:2: os.NoSuchThing: the program has no such variable", "list:3: net/htp.*", "list:4: main.nothing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if len(p.Entries()) != before {
		t.Error("a part of a refused list was taken")
	}
	for _, c := range []struct{ text, want string }{
		{"os.Args depth=-1", "want a number"},
		{"os.Args depth", "want a number"},
		{"os.Args budget=1kb", "unit kb is ambiguous: use KiB"},
		{"os.Args budget=99999999999TiB", "too large"},
		{"os.Args color=red", "want depth=N or budget=BYTES"},
		{"!os.Args depth=1", "has no options"},
		{"os.[", "not a name or a pattern"},
		{"!", "not a name or a pattern"},
	} {
		if _, err := linker.ParseIncludeList("list", strings.NewReader("\n"+c.text)); err == nil || !strings.Contains(err.Error(), "list:2: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want an error with %q", c.text, err, c.want)
		}
	}
}

// Included variables get their types in every kind of build. Without debug
// information they are included without types.
func TestIncludeBuilds(t *testing.T) {
	for _, c := range []struct {
		build
		typ  string
		want string
	}{
		{build{args: "-buildmode=pie -ldflags=-linkmode=external"}, "[]string", ""},
		{build{toolchain: "go1.27.3", args: "-trimpath"}, "[]string", ""},
		{build{args: "-ldflags=-w"}, "?", ""},
		{build{args: "-ldflags=-s"}, "", "the file has no symbol table"},
	} {
		t.Run(c.name(), func(t *testing.T) {
			p := open(t, c.run(t))
			_, err := p.Include(list(t, "os.Args"))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want one with %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := included(p), []string{"os.Args " + c.typ + " list:1"}; !slices.Equal(got, want) {
				t.Errorf("included %q, want %q", got, want)
			}
			// Both the map and Embed report what is not followed.
			content, err := p.Content()
			if err != nil {
				t.Fatal(err)
			}
			for _, notes := range [][]string{p.Map().Notes, content.Notes} {
				noted := slices.ContainsFunc(notes, func(note string) bool {
					return strings.HasPrefix(note, "os.Args (list:1): the type is not known, so only its own 24 bytes are captured")
				})
				if noted != (c.typ == "?") {
					t.Errorf("type %s, notes %q", c.typ, notes)
				}
			}
		})
	}
}

// The least and the worst size follow from the types alone.
func TestForecast(t *testing.T) {
	p := open(t, plainBinary(t))
	f, err := p.Forecast(linker.ForecastOptions{Depth: 2})
	if err != nil {
		t.Fatal(err)
	}
	const node = 48 // two pointers and four words
	want := map[string]linker.Bounds{
		"Greeting": {Least: 16, Worst: 4096, Why: "a string may have any length"},
		"Second":   {Least: 8, Worst: 8},
		"arena":    {Least: 64, Worst: 64},
		"counter":  {Least: 8, Worst: 8},
		"handler":  {Least: 8, Unbounded: true, Why: "a function may have captured anything"},
		"root":     {Least: node, Worst: node * (1 + 2 + 4)},
		"sessions": {Least: 8, Unbounded: true, Why: "a map may have any size"},
		"Head":     {Least: 24, Worst: 24 * 3},
		"unused":   {Least: 1024, Worst: 1024},
		"big":      {Least: 4 << 20, Worst: 4 << 20},
	}
	for _, e := range f.Entries {
		if w, ok := want[e.Name]; ok && e.Bounds != w {
			t.Errorf("%s: %+v, want %+v", e.Name, e.Bounds, w)
		}
	}
	if !f.Total.Unbounded || !f.Total.Exceeds(1<<60) || f.Total.Why == "" {
		t.Errorf("total %+v", f.Total)
	}
	// A budget bounds the whole capture.
	f, err = p.Forecast(linker.ForecastOptions{Depth: 2, Budget: 1 << 20})
	if err != nil || f.Total.Unbounded || f.Total.Worst != 1<<20 || f.Total.Least != 1<<20 || f.Total.Exceeds(1<<20) || !f.Total.Exceeds(1<<20-1) {
		t.Errorf("total with a budget %+v, %v", f.Total, err)
	}
	// With depth 0 the forecast is exact, except for entries that set another
	// depth.
	f, err = p.Forecast(linker.ForecastOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range f.Entries {
		if e.Depth == 0 && (e.Unbounded || e.Worst != e.Least) {
			t.Errorf("%s at depth 0: %+v", e.Name, e.Bounds)
		}
	}
	if f.Total.Unbounded || f.Total.Worst != f.Total.Least+4096-16+node*6 {
		t.Errorf("total at depth 0: %+v", f.Total)
	}
	// An unlimited depth is reported where a type leads to itself.
	f, err = p.Forecast(linker.ForecastOptions{Depth: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range f.Entries {
		if e.Name == "Head" && (!e.Unbounded || !strings.Contains(e.Why, "may lead to itself")) {
			t.Errorf("a list without end: %+v", e.Bounds)
		}
	}
}

// A list that parses means what its lines contain.
func FuzzParseIncludeList(f *testing.F) {
	f.Add("# x\nos.Args depth=2 budget=64KiB\n!runtime.*\n")
	f.Add("a.b depth=4294967296")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := linker.ParseIncludeList("list", strings.NewReader(text))
		if err != nil {
			return
		}
		lines := strings.Split(text, "\n")
		for _, line := range l.Lines {
			if line.Number < 1 || line.Number > len(lines) || line.Pattern == "" || !strings.Contains(lines[line.Number-1], line.Pattern) || line.Depth < 0 {
				t.Errorf("line %+v of %q", line, text)
			}
		}
	})
}
