package siginfo_test

import (
	"testing"

	"github.com/meminspect/meminspect/internal/core/siginfo"
)

func TestNames(t *testing.T) {
	for number, name := range map[int]string{1: "sighup", 15: "sigterm", 31: "sigsys"} {
		if got := siginfo.Name(number); got != name {
			t.Errorf("signal %d is %q, want %q", number, got, name)
		}
		if got := siginfo.Number(name); got != number {
			t.Errorf("%s is signal %d, want %d", name, got, number)
		}
	}
	if got := siginfo.Reason(40); got != "signal-40" {
		t.Errorf("the reason of signal 40 is %q", got)
	}
	for _, name := range []string{"", "sig", "term", "SIGTERM", "signal"} {
		if got := siginfo.Number(name); got != 0 {
			t.Errorf("%q is signal %d", name, got)
		}
	}
}
