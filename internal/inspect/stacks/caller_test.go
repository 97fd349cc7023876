package stacks

import "testing"

// The frame that names a stack is the program's, or that of a package which is not one of
// those that goroutines wait in.
func TestCaller(t *testing.T) {
	for want, functions := range map[string][]string{
		"main.(*queue).take":           {"sync.(*Mutex).Lock", "main.(*queue).take", "main.main"},
		"net/http.(*connReader).Read":  {"internal/poll.(*FD).Read", "net.(*conn).Read", "net/http.(*connReader).Read", "main.serve"},
		"time.Sleep":                   {"time.Sleep"},
		"sync.(*WaitGroup).Wait":       {"sync.runtime_SemacquireWaitGroup", "sync.(*WaitGroup).Wait"},
		"example.com/net.(*pool).wait": {"time.Sleep", "example.com/net.(*pool).wait"},
	} {
		var frames []Frame
		for _, f := range functions {
			frames = append(frames, Frame{Function: f})
		}
		if got := Caller(frames); got.Function != want {
			t.Errorf("%v: %s, want %s", functions, got.Function, want)
		}
	}
	if Caller(nil) != nil {
		t.Error("a stack without frames has a name")
	}
}
