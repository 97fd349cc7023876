package linker_test

import (
	"bufio"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/linker"
)

// waiting starts the fixture so that it waits, and ends it with the test.
func waiting(t *testing.T, bin string, args ...string) int {
	t.Helper()
	cmd := exec.Command(bin, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("the program reported %q, %v", line, err)
	}
	return cmd.Process.Pid
}

// A process shows the same as its file, and which tables are linked.
func TestOpenProcess(t *testing.T) {
	for _, b := range []build{{}, {args: "-buildmode=pie -ldflags=-s+-w"}} {
		t.Run(b.name(), func(t *testing.T) {
			bin := b.run(t)
			want := ask(t, bin)
			p, err := linker.OpenProcess(waiting(t, bin, "wait"))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			checkSaid(t, p, want, true)
			for _, table := range p.Tables() {
				if !table.Linked {
					t.Errorf("the table of %s is not linked", table.Package)
				}
			}
			checkFindings(t, p)
		})
	}
}

// In a process that hangs in the init of its first package, no table is linked
// yet.
func TestOpenProcessInInit(t *testing.T) {
	bin := build{args: "-tags=stuck"}.run(t)
	p, err := linker.OpenProcess(waiting(t, bin))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(p.Entries()) < 12 {
		t.Errorf("%d entries", len(p.Entries()))
	}
	unlinked := map[string]bool{}
	for _, table := range p.Tables() {
		if !table.Linked {
			unlinked[table.Package] = true
		}
	}
	if !unlinked["example.com/program"] || !unlinked["example.com/program/store"] || unlinked["example.com/program/idle"] {
		t.Errorf("not linked: %v", unlinked)
	}
}

// OpenProcess returns an error for a process that is not a Go program, and for
// a PID without a process.
func TestOpenProcessOthers(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if p, err := linker.OpenProcess(cmd.Process.Pid); !errors.Is(err, linker.ErrNotGo) {
		t.Errorf("sleep is %v, %v", p, err)
	}
	if p, err := linker.OpenProcess(1 << 30); err == nil {
		t.Errorf("a process that is not: %v", p)
	}
}
