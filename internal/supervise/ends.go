//go:build linux

package supervise

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/siginfo"
)

// Ends is which ends of a program are crashes, besides its fatal errors. A
// status of 0 is never one. By default each other end is, except for the signals
// by which a program is asked to end.
//
// An end is named exit-N, for a status, or as its signal: sigkill. The name exit
// stands for all statuses. The zero value is the default.
type Ends struct {
	crash map[string]bool // what was chosen, by name
}

// asked are the signals by which a terminal, a service manager or a container
// runtime asks a program to end.
var asked = []string{"sigterm", "sigint", "sighup"}

// NewEnds returns the default, with the ends of on, and without those of except.
func NewEnds(on, except []string) (Ends, error) {
	e := Ends{crash: map[string]bool{}}
	for _, list := range []struct {
		names []string
		crash bool
	}{{on, true}, {except, false}} {
		for _, name := range list.names {
			if !isEnd(name) {
				return Ends{}, fmt.Errorf("%q is not the end of a program: want a signal such as sigterm, exit-N for an exit status, or exit for all of these", name)
			}
			if slices.Contains(on, name) && slices.Contains(except, name) {
				return Ends{}, fmt.Errorf("%q is both captured and excepted: name it once", name)
			}
			e.crash[name] = list.crash
		}
	}
	return e, nil
}

// isEnd reports whether a program can end so.
func isEnd(name string) bool {
	if number, ok := strings.CutPrefix(name, "exit-"); ok {
		n, err := strconv.ParseUint(number, 10, 8)
		return err == nil && n > 0 && number[0] != '0'
	}
	return name == "exit" || siginfo.Number(name) > 0
}

// Crash reports whether the end is a crash.
func (e Ends) Crash(end unix.WaitStatus) bool {
	if end.Exited() {
		if end.ExitStatus() == 0 {
			return false
		}
		return e.is("exit-"+strconv.Itoa(end.ExitStatus()), e.is("exit", true))
	}
	name := siginfo.Name(int(end.Signal()))
	return e.is(name, !slices.Contains(asked, name))
}

// is returns what was chosen for the end of that name, or otherwise.
func (e Ends) is(name string, otherwise bool) bool {
	if crash, ok := e.crash[name]; ok {
		return crash
	}
	return otherwise
}
