//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/debuggers"
)

// screensPage has what terminals show. UPDATE_SCRIPTS=1 writes it anew.
const screensPage = repository + "/docs/explanation/screens.md"

// screenCommands are the commands of the page.
var screenCommands = []string{"meminspect shop.core", "meminspect goroutines --group --user shop.core", "meminspect waits hang.core", "meminspect diff before.core after.core"}

// On terminals of 80 and 120 columns, the report has no line that is wider. It, the groups of
// goroutines, the waits and the differences of two cores show what the page has, except for
// what differs from run to run.
func TestScreens(t *testing.T) {
	tmux := debuggers.Need(t, "tmux")
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "bin", "meminspect")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	makeScreenCores(t, dir)
	var page strings.Builder
	page.WriteString("# Screens\n\nWhat the first commands show on terminals of 80 and 120 columns. A test makes this page.\n")
	for _, width := range []int{80, 120} {
		fmt.Fprintf(&page, "\n## %d columns\n", width)
		for _, command := range screenCommands {
			text := showScreen(t, tmux, dir, command, width)
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && command == screenCommands[0] {
					t.Errorf("%s: a line of %d columns: %s", command, n, line)
				}
			}
			fmt.Fprintf(&page, "\n```console\n$ %s\n%s```\n", command, text)
		}
	}
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(screensPage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(screensPage)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := words(page.String()), words(string(want)); got != want {
		t.Errorf("%s differs: UPDATE_SCRIPTS=1 writes it anew\n%s\nwant\n%s", screensPage, got, want)
	}
}

// varies are words that differ from run to run. A stack may have leftovers of earlier calls.
var varies = regexp.MustCompile(`0x[0-9a-f]+ = .*|\S*[0-9…]\S*|\b(INFO|WARN) .*`)

// words returns the words of a text that are the same in each run.
func words(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if fields := strings.Fields(varies.ReplaceAllString(line, "")); len(fields) > 0 {
			b.WriteString(strings.Join(fields, " ") + "\n")
		}
	}
	return b.String()
}

// showScreen returns what a command shows in a terminal.
func showScreen(t *testing.T, tmux, dir, command string, width int) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "tmux") // of a server for each screen: the one before may be about to end
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(tmux, append([]string{"-f", "/dev/null", "-S", socket}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "PAGER=cat", "LANG=C.UTF-8", "NO_COLOR=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		return string(out)
	}
	done := filepath.Join(dir, "done")
	os.Remove(done)
	run("-u", "new-session", "-d", "-s", "screen", "-x", strconv.Itoa(width), "-y", "60", command+"; : >"+done+"; sleep 600")
	defer run("kill-server")
	await.True(t, "the command ends", func() bool { _, err := os.Stat(done); return err == nil })
	return strings.TrimRight(run("capture-pane", "-p", "-J", "-t", "screen"), "\n") + "\n"
}

// makeScreenCores makes the cores of the ten questions.
func makeScreenCores(t *testing.T, dir string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join(repository, "testdata/script/questions.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runtime, err := filepath.Abs(filepath.Join(repository, "runtime"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"go mod edit \"-replace=github.com/meminspect/meminspect/runtime=" + runtime + "\"",
		"meminspect generate ./...",
		"go build -o shop .",
		"! meminspect run --dir cores -- ./shop 2>stderr",
		"! meminspect run --dir cores --on-hang kill -- ./shop hang 2>>stderr",
		"mv cores/*.panic.core shop.core && mv cores/*.hang.core hang.core",
		`./shop serve &
		trap "kill $!" EXIT
		until test -e pid && meminspect goroutines $(cat pid) | grep -q "^goroutine 1 .chan receive"; do kill -0 $!; sleep 0.02; done
		meminspect capture -q $(cat pid) -o before.core
		kill -USR1 $(cat pid)
		until meminspect goroutines $(cat pid) | grep -q "^goroutine 1 .sleep"; do kill -0 $!; sleep 0.02; done
		meminspect capture -q $(cat pid) -o after.core`,
	} {
		if out, err := runLines(t.Context(), dir, line); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

// runLines runs lines in a directory up to the first that fails. What they start ends when they
// take longer than the limit, or when the context is canceled.
func runLines(ctx context.Context, dir, lines string) (out []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, await.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", lines)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "GOWORK=off", "GOFLAGS=-mod=mod", "GOTRACEBACK=single")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = await.Limit // a process that left the group may have the output open
	return cmd.CombinedOutput()
}

// The first line that fails ends the lines, and the end of the context what they started.
func TestRunLines(t *testing.T) {
	if out, err := runLines(t.Context(), t.TempDir(), "false\necho next"); err == nil || len(out) > 0 {
		t.Errorf("after a failure: %v, %q", err, out)
	}
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(fifo, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := runLines(ctx, dir, "(echo started; exec sleep 600) >fifo & wait")
		ended <- err
	}()
	await.True(t, "a process in the background", func() bool { n, _ := syscall.Read(fd, make([]byte, 16)); return n > 0 })
	cancel()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	// No process has the other end of the pipe.
	await.True(t, "the end of the process", func() bool { n, err := syscall.Read(fd, make([]byte, 16)); return n == 0 && err == nil })
}
