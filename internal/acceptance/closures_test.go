//go:build linux

package acceptance

import (
	"bytes"
	"os"
	"testing"

	"github.com/meminspect/meminspect/capture"
)

// The debug information of a function literal has a pointer for a variable that is
// too large for registers, whether the closure has a pointer or the variable. The core
// has the variables in both cases.
func TestClosures(t *testing.T) {
	needAMD64(t)
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			p := start(t, build(t, "closures", w.env, w.flags...))
			core, _ := takeCore(t, p.Process.Pid, capture.Options{Stacks: capture.StacksNone})
			data, err := os.ReadFile(core)
			if err != nil {
				t.Fatal(err)
			}
			described := w.name == "unoptimised" || w.name == "stripped" // without debug information the whole closure is captured
			for n := byte(1); n <= 12; n++ {
				if n == 5 && !described {
					continue // docs/explanation/following.md: a large value after others, without a description
				}
				if !bytes.Contains(data, markOf(n)) {
					t.Errorf("the core lacks the variable with the mark %d", n)
				}
			}
		})
	}
}

// markOf is the function name of testdata/closures.
func markOf(n byte) []byte {
	m := make([]byte, 16)
	for i := range m {
		m[i] = n ^ byte(i*37+11)
	}
	return m
}
