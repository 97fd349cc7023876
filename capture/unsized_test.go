//go:build linux && amd64

package capture

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// TestUnsizedObjects: the object that an excluded unsafe.Pointer leads to is
// redacted completely: a small one, one of several pages, and a variable,
// wherever the pointer points into it. The public objects around it are in the
// core.
func TestUnsizedObjects(t *testing.T) {
	const rows = 184
	for _, c := range []struct {
		name     string
		flags    []string
		argument string
	}{{"symbols", nil, "variable"}, {"stripped", []string{"-ldflags=-s -w"}, ""}} {
		t.Run(c.name, func(t *testing.T) {
			pid, _ := runningBuilt(t, c.flags, "unsized", c.argument)
			for name, stop := range map[string]Stop{"stopped": StopAlways, "running": StopNever} {
				core, err := Capture(context.Background(), pid, Options{Stop: stop, Stacks: StacksSkeleton})
				if err != nil {
					t.Fatal(err)
				}
				var data bytes.Buffer
				if _, err := core.WriteTo(&data); err != nil {
					t.Fatal(err)
				}
				lost := 0
				for i := range rows {
					if !bytes.Contains(data.Bytes(), fmt.Appendf(nil, "public row %d.", i)) {
						lost++
					}
				}
				if lost > 0 {
					t.Errorf("%s: %d of %d public objects are lost", name, lost, rows)
				}
				if !bytes.Contains(data.Bytes(), []byte("public variable.")) {
					t.Errorf("%s: the public variable is lost", name)
				}
				if n := bytes.Count(data.Bytes(), []byte("secret-mark-here")); n > 0 {
					t.Errorf("%s: the excluded mark is there %d times", name, n)
				}
			}
		})
	}
}
