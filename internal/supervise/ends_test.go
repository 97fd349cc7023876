//go:build linux

package supervise

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnds(t *testing.T) {
	exit := func(status int) unix.WaitStatus { return unix.WaitStatus(status << 8) }
	for _, c := range []struct {
		on, except string
		end        unix.WaitStatus
		crash      bool
	}{
		{end: exit(0)},
		{end: exit(2), crash: true},
		{end: unix.WaitStatus(unix.SIGKILL), crash: true},
		{end: unix.WaitStatus(unix.SIGTERM)},
		{end: unix.WaitStatus(unix.SIGINT)},
		{end: unix.WaitStatus(unix.SIGHUP)},
		{on: "sigterm", end: unix.WaitStatus(unix.SIGTERM), crash: true},
		{on: "sigterm", end: unix.WaitStatus(unix.SIGINT)},
		{except: "sigkill", end: unix.WaitStatus(unix.SIGKILL)},
		{except: "exit-3", end: exit(3)},
		{except: "exit-3", end: exit(4), crash: true},
		{except: "exit", end: exit(4)},
		{except: "exit", on: "exit-4", end: exit(4), crash: true},
		{except: "exit", end: unix.WaitStatus(unix.SIGKILL), crash: true},
		{on: "exit", end: exit(0)},
	} {
		ends, err := NewEnds(strings.Fields(c.on), strings.Fields(c.except))
		if err != nil {
			t.Errorf("on %q, except %q: %v", c.on, c.except, err)
		} else if got := ends.Crash(c.end); got != c.crash {
			t.Errorf("on %q, except %q: %#x is a crash: %v", c.on, c.except, c.end, got)
		}
	}
	for _, name := range []string{"", "exit-0", "exit-256", "exit-03", "exit-", "term", "SIGTERM", "panic"} {
		if _, err := NewEnds([]string{name}, nil); err == nil {
			t.Errorf("%q is accepted as an end", name)
		}
	}
	if _, err := NewEnds([]string{"exit-3"}, []string{"exit-3"}); err == nil {
		t.Error("an end is accepted as captured and excepted")
	}
}
