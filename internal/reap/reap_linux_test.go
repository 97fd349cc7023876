package reap

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
)

// A subreaper reaps orphans, and no child for which other code waits.
func TestOrphans(t *testing.T) {
	if Needed() {
		t.Skip("orphans come to this test already")
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skip("cannot become a subreaper: ", err)
	}
	defer func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	}()
	if !Needed() {
		t.Fatal("a subreaper passes for none")
	}
	done := make(chan error, 20)
	for range 20 {
		go func() { done <- Run(exec.Command("/bin/sh", "-c", "(exit 5) & exit 7")) }()
	}
	reaped := 0
	for waiting := 20; waiting > 0; {
		reaped += Orphans(0)
		select {
		case err := <-done:
			waiting--
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("a command that was waited for ended with %v", err)
			}
		case <-time.After(time.Millisecond):
		}
	}
	await.True(t, "all zombies are reaped", func() bool { reaped += Orphans(0); return len(zombies()) == 0 })
	t.Log(reaped, "orphans")
	if reaped == 0 {
		t.Error("there were no orphans, so this tests nothing")
	}
}
