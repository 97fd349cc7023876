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

// Ends selects the ends of a program that are crashes, in addition to its fatal
// errors. A status of 0 never is. By default each other end is, except for the
// signals that ask a program to end.
//
// An end is named exit-N, for a status, or as its signal: sigkill. The name
// exit means all statuses. The zero value is the default.
type Ends struct {
	crash map[string]bool // the user's choice, by name
}

// asked are the signals by which a terminal, a service manager or a container
// runtime asks a program to end.
var asked = []string{"sigterm", "sigint", "sighup"}

// NewEnds returns the default, plus the ends in on, minus those in except.
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

// isEnd reports whether name is a valid end of a program.
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

// is returns the choice for the end of that name, or otherwise.
func (e Ends) is(name string, otherwise bool) bool {
	if crash, ok := e.crash[name]; ok {
		return crash
	}
	return otherwise
}
