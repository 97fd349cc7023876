package module_test

import (
	"runtime"
	"strings"
	"testing"
)

// The innermost call at an address is the one that the runtime reports.
func TestCalls(t *testing.T) {
	image, p := self(t)
	functions, err := p.Modules[0].Functions(image)
	if err != nil {
		t.Fatal(err)
	}
	compared, inlined := 0, 0
	for i := 0; i < functions.Len(); i += 3 {
		f, err := functions.Func(i)
		if err != nil {
			t.Fatal(err)
		}
		for at := f.Range.Start; at < f.Range.End; at = at.Add(100) { // whole instructions on arm64
			calls, err := f.Calls(at)
			if err != nil && strings.Contains(err.Error(), "after the end of a table") {
				break // padding after the code
			}
			if err != nil {
				t.Fatalf("%s at %v: %v", f.Name, at, err)
			}
			// The runtime reports the innermost call; the last is f.
			want, _ := runtime.CallersFrames([]uintptr{uintptr(at) + 1}).Next()
			if want.Function == "" || want.Line == 0 {
				continue // padding, and what has no line
			}
			name, _, _ := strings.Cut(calls[0].Name, "[")
			wantName, _, _ := strings.Cut(want.Function, "[")
			if name != wantName || calls[0].File != want.File || calls[0].Line != want.Line || calls[len(calls)-1].Name != f.Name {
				t.Fatalf("%s at %v: %+v, want %+v", f.Name, at, calls, want)
			}
			compared++
			inlined += len(calls) - 1
		}
	}
	if compared < 1000 || inlined < 100 {
		t.Errorf("%d calls were compared, %d of them inlined", compared, inlined)
	}
}
