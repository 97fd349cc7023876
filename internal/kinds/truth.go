package kinds

import (
	"regexp"

	"github.com/meminspect/meminspect/runtime/format/note"
)

// untyped are variables that lead to memory without a type: by an unsafe.Pointer,
// or to the receiver of a method value of an interface.
var untyped = map[string]bool{
	"vUnsafe": true, "vPtrUnsafe": true, "vReflect": true, "vReflPtr": true, "vDynFunc": true, "vMethod": true, "vCond": true,
}

// closures are variables that lead to a function literal's variables, or to the
// receiver of a method value. Debug information has their types.
var closures = map[string]bool{"vClosure": true, "vClosureStr": true, "vMethodPtr": true}

// Incomplete is the number of variables that Status returns as not complete if the program
// has debug information.
var Incomplete = len(untyped)

// Status returns the status of a variable of the program in a capture that has all of
// it. described is set if the program has debug information.
func Status(name string, described bool) note.Status {
	if untyped[name] || closures[name] && !described {
		return note.Untyped
	}
	return note.Complete
}

var addresses = regexp.MustCompile(`0x[0-9a-f]{5,}`)

// OneLine returns a printed value without its addresses, and without line breaks, which
// depend on the length of the addresses.
func OneLine(text string) string {
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

// Truths are what the program's variables have according to its source, as `meminspect print`
// shows them, on one line and without addresses.
var Truths = map[string]string{
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
	"vMethod":     `(main.Square{Side: 4}).Area`,
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
