//go:build linux

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
)

// deaths lists the cores of a run as "PROGRAM REASON", and checks that each is of
// the process in its name, which must be another one for each.
func (r *run) deaths(t *testing.T) []string {
	t.Helper()
	var list []string
	seen := map[string]bool{}
	for _, core := range r.cores(t) {
		m := regexp.MustCompile(`^(.+)\.(\d+)\.[0-9TZ.]+\.([a-z0-9-]+)\.core$`).FindStringSubmatch(filepath.Base(core))
		if m == nil {
			t.Fatalf("a core called %s", core)
		}
		if out, err := command(t, "info", core); err != nil || !strings.Contains(string(out), ", pid "+m[2]+"\n") {
			t.Errorf("%s: %v: %s", core, err, out)
		}
		if seen[m[2]] {
			t.Errorf("two cores of process %s", m[2])
		}
		seen[m[2]] = true
		list = append(list, m[1]+" "+m[3])
	}
	slices.Sort(list)
	return list
}

// Each process that embeds the runtime is captured under its own name, however it
// is started, and no other is blamed.
func TestChildrenCaptured(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	name := filepath.Base(program)
	for _, c := range []struct {
		name   string
		script string // of a shell; empty for the program itself
		args   []string
		root   bool
		want   []string
		status int
	}{
		{name: "shell", script: program + " panic; true", want: []string{name + " panic"}},
		{name: "shell that passes the status on", script: program + " panic", want: []string{name + " panic"}, status: 2},
		{name: "shell with the status", script: program + " panic; exit $?", want: []string{name + " panic"}, status: 2},
		{name: "shell in a shell", script: "sh -c '" + program + " panic; exit 4'; exit 3", want: []string{name + " panic"}, status: 3},
		{name: "one after the other", script: program + " panic; " + program + " nil; true", want: []string{name + " nil-dereference", name + " panic"}},
		{name: "at once", script: "for i in 1 2 3 4 5 6 7 8; do " + program + " panic & done; wait",
			want: slices.Repeat([]string{name + " panic"}, 8)},
		{name: "parent and child", args: []string{"child"}, want: []string{name + " panic", name + " panic"}, status: 2},
		{name: "snapshot", script: program + " snapshot; true", want: []string{name + " order-lost"}},
		{name: "PID namespace", script: "unshare --pid --fork " + program + " panic; true", root: true, want: []string{name + " panic"}},
		{name: "another user", script: "setpriv --reuid=65534 --clear-groups " + program + " panic; true", root: true, want: []string{name + " panic"}},
		{name: "exec", args: []string{"exec", "panic"}, want: []string{name + " panic"}, status: 2},
		{name: "exec of a shell", script: "exec " + program + " panic", want: []string{name + " panic"}, status: 2},
		{name: "exec of another thread", args: []string{"again"}, want: []string{name + " exit-4"}, status: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Getuid() != 0 {
				t.Skip("this needs root")
			}
			line := append([]string{program}, c.args...)
			if c.script != "" {
				line = []string{"/bin/sh", "-c", c.script}
			}
			r := supervise(t, plainly, line[0], []string{"--limit=0", "--limit-all=0"}, line[1:]...)
			if got := r.deaths(t); !slices.Equal(got, c.want) || r.state.ExitCode() != c.status {
				t.Errorf("cores %q, want %q; status %d, want %d; events %+v", got, c.want, r.state.ExitCode(), c.status, r.events)
			}
			if r.has("note") || r.has("failed") {
				t.Errorf("%+v", r.events)
			}
		})
	}
}

// A panic after exec is one with its message, with and without the exit stop.
func TestPanicAfterExec(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, flag := range []string{"--exit-stop=auto", "--exit-stop=off"} {
		r := supervise(t, plainly, program, []string{flag}, "exec", "exec", "panic")
		out, err := command(t, "info", r.one(t, "panic"))
		if err != nil || !strings.Contains(string(out), "it went wrong") {
			t.Errorf("%s: %v: %s", flag, err, out)
		}
	}
}

// Children are captured, reported or ignored as the user wants. The program's own
// death is captured in any case, and a child that is not captured ends as alone.
func TestChildrenFlag(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for mode, want := range map[string][]string{"capture": {"captured", "captured"}, "report": {"crashed", "captured"}, "ignore": {"captured"}} {
		r := supervise(t, plainly, program, []string{"--children=" + mode}, "child")
		var got []string
		for _, e := range r.events {
			if e.What == "captured" || e.What == "crashed" {
				got = append(got, e.What)
			}
		}
		if !slices.Equal(got, want) || !strings.Contains(r.stdout.String(), "child: exit status 2") || r.state.ExitCode() != 2 {
			t.Errorf("--children=%s: %q, want %q; %v; it printed %q", mode, got, want, r.state, r.stdout.String())
		}
		if mode == "report" && r.events[1].Reason != "panic" {
			t.Errorf("%+v", r.events[1])
		}
	}
}

// A program that replaces itself by one that does not embed the runtime is
// reported, since its fatal errors are no longer captured.
func TestExecOfAnother(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := start(t, plainly, nil, program, []string{"--exit-stop=off"}, "become", "/bin/sleep", "60")
	note := r.event(t, "started")
	if !strings.Contains(note.Text, "does not embed") { // else exec came before the first look
		note = r.event(t, "note")
	}
	kill(t, note.PID)
	r.finish(t)
	if !strings.Contains(note.Text, "does not embed the") {
		t.Errorf("%+v", note)
	}
}

// A child whose parent closes what it inherited is not captured, and unharmed.
func TestChannelClosed(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, plainly, "/bin/bash", nil, "-c", "exec 100>&-; "+program+" panic; echo status $?")
	if len(r.cores(t)) != 0 || r.stdout.String() != "status 2\n" || !strings.Contains(r.stderr.String(), "goroutine 1 [running]") {
		t.Errorf("cores %v; it printed %q, %.300s", r.cores(t), r.stdout.String(), r.stderr.String())
	}
}

// The end of a program names the processes that it leaves. They run on, and crash
// as without a supervisor.
func TestDaemon(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, plainly, program, nil, "daemon")
	pid, err := strconv.Atoi(strings.TrimSuffix(r.stdout.String(), " <nil>\n"))
	if err != nil {
		t.Fatal(r.stdout.String())
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	named := slices.ContainsFunc(r.events, func(e event) bool {
		return e.What == "note" && strings.Contains(e.Text, fmt.Sprintf("(pid %d)", pid))
	})
	if !named {
		t.Errorf("process %d is not named: %+v", pid, r.events)
	}
	if s := state(pid); s != "S" {
		t.Errorf("the daemon is in state %q", s)
	}
	syscall.Kill(pid, syscall.SIGQUIT)
	await.True(t, "the daemon ends", func() bool { s := state(pid); return s == "" || s == "Z" })
}
