//go:build linux

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/terminaltest"
)

// A program on a terminal has it: it may read, ^C reaches it and not the
// supervisor, ^Z stops the job and a shell's fg continues it.
func TestTerminal(t *testing.T) {
	master, slave := terminaltest.Open(t)
	dir := t.TempDir()
	report := filepath.Join(dir, "report")
	r := &started{report: report}
	r.cmd = exec.Command(tool(t), "run", "--json", "--report", report, "--dir", dir, "--", crasher.Build(t, crasher.Plain), "signals")
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = slave, slave, slave
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.cmd.Process.Kill()
	screen := make(chan string, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				close(screen)
				return
			}
			screen <- string(buf[:n])
		}
	}()
	seen := ""
	expect := func(text string) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for !strings.Contains(seen, text) {
			select {
			case s := <-screen:
				seen += s
			case <-deadline:
				t.Fatalf("the terminal does not show %q: %q", text, seen)
			}
		}
	}
	pid := r.event(t, "started").PID
	expect("ready")
	if group, err := unix.Getpgid(pid); err != nil || group != r.cmd.Process.Pid {
		t.Errorf("the program is in group %d, %v; the supervisor is %d", group, err, r.cmd.Process.Pid)
	}
	must(master.WriteString("\x03")) // ^C
	expect("got interrupt")
	must(master.WriteString("\x1c")) // ^\
	expect("got quit")
	must(master.WriteString("\x1a")) // ^Z: this program only prints it
	expect("got stopped")

	// Stopped for good, the supervisor stops too, so that a shell sees it.
	syscall.Kill(pid, syscall.SIGSTOP)
	waitState(t, r.cmd.Process.Pid, "T")
	r.cmd.Process.Signal(syscall.SIGCONT)
	waitState(t, pid, "S")
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.cmd.Wait()
	if code := r.cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("ended with %d: %q", code, seen)
	}
}

func waitState(t *testing.T, pid int, want string) {
	t.Helper()
	if !await.Poll(func() bool { return state(pid) == want }) {
		t.Fatalf("process %d is in state %s, not %s", pid, state(pid), want)
	}
}

// A scene is a session of an interactive shell.
type scene struct {
	name  string
	steps []step
	end   string // the last line, which the shell prints
}

// A step waits for text on the screen, and types.
type step struct{ wait, keys string }

// scenes have RUN where the supervisor may be, SLEEP for a program that sleeps, and
// COUNT for one that prints how many SIGTERMs it got.
var scenes = []scene{
	{"interrupt a loop", []step{{"", "for i in 1 2 3; do RUN SLEEP; echo after; done\n"}, {"sleeps", "\x03"}, {"PS> ", "echo end $?\n"}}, "end 130"},
	{"interrupt a loop of sh", []step{{"", "sh -c 'for i in 1 2 3; do RUN SLEEP; echo after; done'\n"}, {"sleeps", "\x03"}, {"PS> ", "echo end $?\n"}}, "end 130"},
	{"interrupt a subshell", []step{{"", "(RUN SLEEP; echo after)\n"}, {"sleeps", "\x03"}, {"PS> ", "echo end $?\n"}}, "end 130"},
	{"quit in a pipe", []step{{"", "RUN SLEEP | cat\n"}, {"sleeps", "\x1c"}, {"PS> ", "echo end ${PIPESTATUS[0]}\n"}}, "end 131"},
	{"read in the background", []step{{"", "RUN head -n 1 &\n"}, {"PS> ", "until jobs | grep -q Stopped; do sleep 0.1; done; echo stop''ped\n"}, {"stopped", "fg\n"}, {"head", "typed line\n"}, {"typed line\r\ntyped line\r\n", "echo end $?\n"}}, "end 0"},
	{"stop and continue", []step{{"", "RUN SLEEP\n"}, {"sleeps", "\x1a"}, {"Stopped", "jobs | grep -c Stopped; echo job''s\n"}, {"jobs", "fg\n"}, {"fg\r\n", ""}, {"RUNNING", "\x03"}, {"PS> ", "echo end $?\n"}}, "end 130"},
	{"kill a job", []step{{"", "RUN COUNT & sleep 0; echo start''ed\n"}, {"counts", "kill %1; wait; echo end\n"}, {"got 1\r\n", ""}}, "end"},
	{"ignored hangup", []step{{"", "(trap '' HUP; RUN sh -c 'kill -HUP $$; echo alive')\n"}, {"alive\r\n", "echo end $?\n"}}, "end 0"},
}

// A shell and a terminal treat a job the same with and without a supervisor.
func TestScenes(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	scripts := map[string]string{
		"sleeper": "echo sleep''s\nexec sleep 1000\n",
		"counter": "n=0; trap 'n=$((n+1))' TERM; echo count''s\nwhile [ $n = 0 ]; do sleep 0.05; done; sleep 1; echo got $n\n",
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range scenes {
		for _, run := range []string{"", tool(t) + " run --quiet --dir " + dir + " --"} {
			name := "/plain"
			if run != "" {
				name = "/run"
			}
			t.Run(s.name+name, func(t *testing.T) {
				play(t, s, strings.NewReplacer("RUN", run, "SLEEP", "sh "+dir+"/sleeper", "COUNT", "bash "+dir+"/counter"), dir)
			})
		}
	}
}

// play plays a scene.
func play(t *testing.T, s scene, words *strings.Replacer, dir string) {
	t.Helper()
	master, slave := terminaltest.Open(t)
	shell := exec.Command("bash", "--norc", "--noprofile", "-i")
	shell.Env = append(os.Environ(), "PS1=PS> ", "HISTFILE=", "TERM=dumb")
	shell.Dir = dir
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		shell.Process.Kill()
		shell.Wait()
	}()
	slave.Close()
	screen := make(chan string, 1000)
	go func() {
		defer close(screen)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			screen <- string(buf[:n])
		}
	}()
	all, seen := "", ""
	expect := func(text string) {
		t.Helper()
		deadline := time.After(30 * time.Second)
		for !strings.Contains(seen, text) {
			select {
			case s, ok := <-screen:
				if all, seen = all+s, seen+s; !ok {
					t.Fatalf("the shell ended before %q: %q", text, all)
				}
			case <-deadline:
				t.Fatalf("no %q: %q", text, all)
			}
		}
		seen = seen[strings.Index(seen, text)+len(text):]
	}
	expect("PS> ")
	for _, step := range s.steps {
		if step.wait == "RUNNING" {
			waitSleeper(t, shell.Process.Pid)
		} else if step.wait != "" {
			expect(step.wait)
		}
		must(master.WriteString(words.Replace(step.keys)))
	}
	expect(s.end + "\r\n")
	if strings.Contains(all, "\nafter\r") {
		t.Errorf("the loop went on: %q", all)
	}
}

// waitSleeper waits until the sleeping program of a session runs and is in the
// terminal's foreground group.
func waitSleeper(t *testing.T, session int) {
	t.Helper()
	await.True(t, "the program runs in the foreground", func() bool {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		return slices.ContainsFunc(stats, func(path string) bool {
			text, _ := os.ReadFile(path)
			_, rest, _ := strings.Cut(string(text), "(sleep) ")
			var state string
			var parent, group, sess, tty, foreground int
			n, _ := fmt.Sscan(rest, &state, &parent, &group, &sess, &tty, &foreground)
			return n == 6 && sess == session && state == "S" && group == foreground
		})
	})
}
