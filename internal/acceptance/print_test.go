//go:build linux

package acceptance

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/inspect"
	values "github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// printed captures the program and returns what print writes of each region.
// With alone the executable is away while the core is read.
func printed(t *testing.T, path string, pid int, alone bool) (texts map[string]string, order []string) {
	t.Helper()
	core, _ := takeCore(t, pid, capture.Options{Depth: 100, Stop: capture.StopAlways})
	return printedOf(t, path, core, alone)
}

// printedOf is printed for a core that is there.
func printedOf(t *testing.T, path, file string, alone bool) (texts map[string]string, order []string) {
	t.Helper()
	described := hasDebugInfo(t, path)
	if alone {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.Rename(path+".away", path); err != nil {
				t.Error(err)
			}
		}()
	}
	core, err := inspect.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if alone != (prog.Exe == nil) || alone != (len(prog.Warnings) > 0) {
		t.Errorf("alone is %v, the executable is %v, warnings %q", alone, prog.Exe, prog.Warnings)
	}
	texts = map[string]string{}
	for i := range core.Regions {
		r := &core.Regions[i]
		if r.Package != "kinds" {
			continue
		}
		if want := statusOf(r.Expr, described); r.Status != want {
			t.Errorf("%s: %v, want %v", r.Expr, r.Status, want)
		}
		texts[r.Expr] = values.Region(prog, r, values.Limits{Depth: 200}).Go()
		order = append(order, r.Expr)
	}
	return texts, order
}

// untyped are variables that lead to memory without a type: by an unsafe.Pointer,
// or to the receiver of a method value of an interface.
var untyped = map[string]bool{
	"vUnsafe": true, "vPtrUnsafe": true, "vReflect": true, "vReflPtr": true, "vDynFunc": true, "vMethod": true, "vCond": true,
}

// closures are variables that lead to a function literal's variables, or to the
// receiver of a method value. Debug information has their types.
var closures = map[string]bool{"vClosure": true, "vClosureStr": true, "vMethodPtr": true}

// statusOf returns the status of a variable of the kinds program in a capture that
// has all of it. described is set if the program has debug information.
func statusOf(name string, described bool) note.Status {
	if untyped[name] || closures[name] && !described {
		return note.Untyped
	}
	return note.Complete
}

func hasDebugInfo(t *testing.T, path string) bool {
	t.Helper()
	f, err := exe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, found := f.Section(".debug_info")
	return found
}

var addresses = regexp.MustCompile(`0x[0-9a-f]{5,}`)

// unalike are variables that differ from run to run, and why.
var unalike = map[string]string{
	"vTimeNow":   "it is the time at which the program started",
	"vReflect":   "it shows a type descriptor, with the target of GCData, which the core alone does not have",
	"vReflPtr":   "as vReflect",
	"vAnyType":   "as vReflect",
	"vChanWaitS": "its two senders wait in any order",
	"vMethodPtr": "only debug information has the type of its receiver",
}

// A stripped program's values print like its unstripped twin's, with the
// executable and without. oneLine returns a printed value without its
// addresses, and without line breaks, which depend on the length of the
// addresses.
func oneLine(text string) string {
	text = addresses.ReplaceAllString(text, "ADDR")
	text = lastBreak.ReplaceAllString(text, "$1")
	text = firstBreak.ReplaceAllString(text, "{")
	return otherBreak.ReplaceAllString(text, ", ")
}

var (
	lastBreak  = regexp.MustCompile(`,\n\s*(})`)
	firstBreak = regexp.MustCompile(`{\n\s*`)
	otherBreak = regexp.MustCompile(`,\n\s*`)
)

func TestPrintStrippedAsItsTwin(t *testing.T) {
	needAMD64(t)
	for i, b := range []kinds.Build{{}, {Toolchain: "go1.27.3", Args: "-buildmode=pie"}, {Toolchain: "go1.24.9"}, {Toolchain: "go1.25.5"}, {Toolchain: "go1.27.3"}, {Args: "-race"}} {
		b.Tables = true
		stripped := b
		stripped.Args = strings.TrimSpace(b.Args + " -ldflags=-s")
		t.Run(b.String(), func(t *testing.T) {
			if i >= 2 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			twin := kinds.Make(t, b)
			want, order := printed(t, twin, kinds.Start(t, twin), false)
			path := kinds.Make(t, stripped)
			pid := kinds.Start(t, path)
			for _, alone := range []bool{false, true} {
				got, _ := printed(t, path, pid, alone)
				for _, name := range order {
					if _, ok := unalike[name]; ok {
						continue
					}
					g, w := oneLine(got[name]), oneLine(want[name])
					if g != w {
						t.Errorf("alone %v, %s\n    twin: %s\nstripped: %s", alone, name, clip(w), clip(g))
					}
				}
				if len(got) < 200 {
					t.Errorf("%d values were printed", len(got))
				}
			}
			for name, text := range truths {
				if got := oneLine(want[name]); got != text {
					t.Errorf("%s = %s\nwant %s", name, got, text)
				}
			}
			for name, text := range want {
				if strings.Contains(text, "not captured") || strings.Contains(text, "/* i") || strings.Contains(text, "torn") {
					t.Errorf("%s is not whole: %s", name, clip(text))
				}
			}
		})
	}
}

func clip(s string) string {
	if len(s) > 2000 {
		return s[:2000] + " …"
	}
	return s
}

// truths are what the program's variables hold according to its source.
var truths = map[string]string{
	"vInt":        `-42`,
	"vUint64":     `uint64(18446744073709551615)`,
	"vInf":        `math.Inf(-1)`,
	"vComplex128": `complex(3.5, 4.5)`,
	"vColor":      `main.Color(3)`,
	"vName":       `main.Name("a name")`,
	"vUTF8":       `"日本語 \x00\xff\n\"quoted\""`,
	"vArray2":     `[2][3]string{{"a", "b", "c"}, {"d", "e", "f"}}`,
	"vArrayStr":   `[4]*string{new("hello, world"), nil, new("heap true text"), new("")}`,
	"vPtrPtr":     `new(new(-42))`,
	"vNilPtr":     `(*int)(nil)`,
	"vOther":      `other.Point{Lat: 1.5, Lon: 2.5, label: ""}`,
	"vSelf":       `/* ADDR */ &main.Node{Next: (*main.Node)(ADDR), Prev: (*main.Node)(ADDR), Value: 3, Tag: "node 3"}`,
	"vSliceNil":   `[]int(nil)`,
	"vSliceEmpty": `[]int{}`,
	"vSliceBytes": `[]byte("some bytes")`,
	"vSliceSlice": `[][]int{{1}, {2, 3}, nil, {}}`,
	"vSlicePtr":   `[]*main.Point{&main.Point{X: 1, Y: 2}, nil, &main.Point{X: 3, Y: 4}}`,
	"vSliceErr":   `[]error{&errors.errorString{s: "EOF"}, nil, &main.MyErr{Code: 1, Msg: "mine"}}`,
	"vMethodPtr":  `(&main.Circle{Radius: 5, Name: "m"}).Area`,
	"vMapNil":     `map[string]int(nil)`,
	"vMapStrInt":  `map[string]int{"one": 1, "three": 3, "two": 2}`,
	"vMapStruct":  `map[main.Point]main.Inner{{X: 1, Y: 2}: {A: 3, B: 4, C: true}}`,
	"vMapNine":    `map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9}`,
	"vMapSet":     `map[string]struct {}{"in": {}}`,
	"vAnySmall":   `uint8(3)`,
	"vAnyDirect":  `main.Single{P: new(-42)}`,
	"vShapeNilP":  `(*main.Circle)(nil)`,
	"vShapeWord":  `main.Word(0xb)`,
	"vDynStruct":  `struct { Count int; Label string; Inner *main.Inner }{Count: 12, Label: "dynamic", Inner: &main.Inner{A: 9, B: 8, C: true}}`,
	"vDynMap":     `map[main.Color][3]main.Name{4: {"x", "y", "z"}}`,
	"vChanStr":    `(chan string)(ADDR){"first", "second"} /* 2 of 3 */`,
	"vChanClosed": `(chan bool)(ADDR){} /* 0 of 0; closed */`,
	"vSyncMap":    `sync.Map{2: "v2", main.Name("k3"): main.Point{X: 1, Y: 2}, "k1": 1}`,
	"vAtomicI":    `atomic.Int64(-5)`,
	"vAtomicV":    `main.Point{X: 6, Y: 7}`,
	"vAtomicPS":   `&[]string{"alpha", "beta", "", "delta"}`,
	"vBigNeg":     `new(big.Int(-12345678901234))`,
	"vTime":       `time.Date(2024, time.February, 29, 12, 30, 45, 123456789, time.UTC)`,
	"vTimeZone":   `time.Date(2025, time.July, 1, 8, 0, 0, 0, time.FixedZone("CEST", 7200))`,
	"vTimeZero":   `time.Time{}`,
	"vFunc":       `main.helper`,
	"vFuncNil":    `(func())(nil)`,
	"vEmpty":      `main.Empty{}`,
}
