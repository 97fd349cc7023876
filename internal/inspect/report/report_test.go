package report

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

func TestCause(t *testing.T) {
	for cause, want := range map[Cause]string{
		{Reason: "panic", Message: "it went wrong"}:               "panicked: it went wrong",
		{Reason: "panic", Type: "main.err"}:                       "panicked: (main.err)",
		{Reason: "panic"}:                                         "panicked",
		{Reason: "out-of-memory", Message: "out of memory"}:       "ran out of memory",
		{Reason: "signal-sigsegv", Message: "SIGSEGV: violation"}: "was ended by SIGSEGV: SIGSEGV: violation",
		{Reason: "exit-3"}:                                        "exited with status 3",
		{Reason: "slow-orders"}:                                   "was captured for slow-orders",
		{}:                                                        "left a core",
		{Reason: "hang", Message: "heartbeat queue, silent for 1s"}: "hangs: heartbeat queue, silent for 1s",
	} {
		if got := cause.String(); got != want {
			t.Errorf("%+v: %q, want %q", cause, got, want)
		}
	}
}

// Recursion is folded if the later calls have pointers to no other objects.
func TestFold(t *testing.T) {
	a, b := Pointer{0x10, "main.a"}, Pointer{0x20, "main.b"}
	for _, test := range []struct {
		objects [][]Pointer
		want    int // calls that are shown
	}{
		{[][]Pointer{nil, nil, nil}, 1},
		{[][]Pointer{{a}, nil, nil}, 1},
		{[][]Pointer{{a, b}, {b}, {b}}, 1},
		{[][]Pointer{{a}, {b}, {a}}, 3},
		{[][]Pointer{nil, nil, {a}}, 3},
		{[][]Pointer{{a}, nil, nil, {a}, nil, nil}, 2},
	} {
		g := &Goroutine{}
		for _, objects := range test.objects {
			g.Calls = append(g.Calls, Call{Frame: stacks.Frame{Function: "main.f", Line: 7}, Objects: objects})
		}
		if got := len(g.Fold()); got != test.want {
			t.Errorf("%v: %d calls, want %d", test.objects, got, test.want)
		}
	}
}

func TestModuleDir(t *testing.T) {
	for _, test := range []struct {
		function, dir string
		ok            bool
	}{
		{"main.main", "cmd/shop", true},
		{"main.run[go.shape.int]", "cmd/shop", true},
		{"example.com/shop.Open", "", true},
		{"example.com/shop/queue%2ev2.(*Queue).Push", "queue.v2", true},
		{"example.com/shopping.Open", "", false},
		{"example.com/other.F[example.com/shop.T]", "", false},
		{"fmt.Println", "", false},
	} {
		dir, ok := moduleDir(test.function, "example.com/shop", "example.com/shop/cmd/shop")
		if ok != test.ok || ok && dir != test.dir {
			t.Errorf("%s: %q, %v", test.function, dir, ok)
		}
	}
}

// A line of the source is shown only of Go source that was not changed since.
func TestSourceLine(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("package p\n\n\tvar x = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	source, other, link := write("p.go"), write("p.txt"), filepath.Join(dir, "link.go")
	if err := os.Symlink(source, link); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	for _, test := range []struct {
		file  string
		line  int
		taken time.Time
		want  string
	}{
		{source, 3, later, "var x = 1"},
		{source, 4, later, ""},
		{source, -1, later, ""},
		{source, 3, time.Now().Add(-time.Hour), ""},
		{other, 3, later, ""},
		{link, 3, later, ""},
		{"p.go", 3, later, ""},
		{filepath.Join(dir, "none.go"), 3, later, ""},
	} {
		if got := sourceLine(&stacks.Frame{File: test.file, Line: test.line}, test.taken); got != test.want {
			t.Errorf("%s:%d: %q, want %q", test.file, test.line, got, test.want)
		}
	}
}
