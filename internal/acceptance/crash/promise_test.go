//go:build linux

package crash

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// The first line states what will be captured, what will not, and why: by what was
// tried on the program itself.
func TestPromise(t *testing.T) {
	unreadable, seccomp := surroundings[5], surroundings[4]
	shared := t.TempDir()
	if err := os.Chmod(shared, os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		s       surrounding
		variant crasher.Variant
		env     []string
		flags   []string
		want    []string
		never   []string
	}{
		{name: "all", variant: crasher.Plain, want: []string{"cores go to ", "; captured: fatal errors, kills and failing exits"}, never: []string{"not captured"}},
		{name: "GOTRACEBACK=none", variant: crasher.Plain, env: []string{"GOTRACEBACK=none"}, want: []string{"not captured: runtime throws", "silent under GOTRACEBACK=none"}},
		{name: "cgo", variant: crasher.Cgo, want: []string{"not captured: deadlocks (Go finds none with cgo)"}},
		{name: "race", variant: crasher.Race, want: []string{"not captured: deadlocks (Go finds none with the race detector)"}},
		{name: "exit stop off", variant: crasher.Plain, flags: []string{"--exit-stop=off"}, want: []string{"captured: fatal errors; not captured: kills and failing exits (exit stop is off)"}},
		{name: "seccomp", s: seccomp, variant: crasher.Plain, want: []string{"captured: fatal errors; not captured: kills and failing exits (exit stop: not permitted; a seccomp filter is in force)"}},
		{name: "unreadable", s: unreadable, variant: crasher.Plain, want: []string{"memory (its file is not readable to its user or has capabilities), so cores are only records"}},
		{name: "space", variant: crasher.Plain, flags: []string{"--free=40960GiB"}, want: []string{"captures nothing for now: ", "iB are free in", "; --free keeps 40.0 TiB free; once that is mended: cores go to "}},
		{name: "shared directory", variant: crasher.Plain, flags: []string{"--dir", shared}, want: []string{"cores go to " + shared + " (" + shared + " has mode"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.s.root && os.Getuid() != 0 {
				t.Skip("changing the user needs root")
			}
			r := start(t, c.s, c.env, crasher.Build(t, c.variant), c.flags, "linger")
			r.finish(t)
			printed := r.event(t, "started").Text
			for _, want := range c.want {
				if !strings.Contains(printed, want) {
					t.Errorf("the first line lacks %q: %s", want, printed)
				}
			}
			for _, never := range c.never {
				if strings.Contains(printed, never) {
					t.Errorf("it reports %q: %s", never, printed)
				}
			}
		})
	}
}

// A slow receiver of a core does not delay the program's end. A hold time that
// is too short for a capture ends in time, and is reported.
func TestHold(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, way := range []string{"panic", "sigkill"} {
		r := supervise(t, plainly, program, []string{"--to", "exec:sh -c 'cat >/dev/null; sleep 3'"}, way)
		captured := false
		for _, e := range r.events {
			if e.What == "captured" {
				captured = true
				if e.Held > 2*time.Second || e.Took < 3*time.Second {
					t.Errorf("%s: held for %v of %v", way, e.Held, e.Took)
				}
			}
		}
		if !captured {
			t.Errorf("%s: %+v", way, r.events)
		}
	}
	r := supervise(t, plainly, program, []string{"--hold", "1ms"}, "panic")
	if r.state.ExitCode() != 2 || !strings.HasPrefix(r.stderr.String(), "panic: it went wrong\n") {
		t.Errorf("%v, %q", r.state, r.stderr.String())
	}
	if !r.has("captured") && !r.has("failed") {
		t.Errorf("nothing is printed of it: %+v", r.events)
	}
}

// Settings of Go's runtime are the program's, and not its supervisor's: standard
// error has no traces of two, a tiny limit of memory does not slow it down, and
// the program has every one of them.
func TestScrubbed(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	settings := []string{"GODEBUG=inittrace=1,gctrace=1", "GOGC=off", "GOMEMLIMIT=4GiB", "GOTRACEBACK=all", "GOMAXPROCS=1"}
	r := start(t, plainly, settings, program, nil, "panic")
	r.finish(t)
	r.one(t, "panic")
	alone := exec.Command(program, "panic")
	alone.Env = append(os.Environ(), settings...)
	want, _ := alone.CombinedOutput()
	lines := func(text, word string) int { return strings.Count("\n"+text, "\n"+word) }
	// Before it begins anew its initialisation is traced once.
	if got := r.stderr.String(); lines(got, "gc ") != lines(string(want), "gc ") {
		t.Errorf("traces of another are on standard error: %s", got)
	}
	for _, kv := range settings[1:] {
		name, _, _ := strings.Cut(kv, "=")
		r := start(t, plainly, settings, program, []string{"--limit=0"}, "env", name)
		r.finish(t)
		if got := r.stdout.String(); got != kv+"\n" {
			t.Errorf("the program sees %q, want %q", got, kv)
		}
	}
}
