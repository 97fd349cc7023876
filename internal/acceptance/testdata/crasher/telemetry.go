package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// monitorVariable makes the program the monitor of another run of itself.
const monitorVariable = "CRASHER_TELEMETRY_CHILD"

func init() {
	if path := os.Getenv(monitorVariable); path != "" {
		crashMonitor(path)
	}
}

// crashMonitored panics with a crash monitor in the manner of
// golang.org/x/telemetry/internal/crashmonitor and its start: the program runs
// itself again, which reads the fatal report from a pipe that
// debug.SetCrashOutput was given, takes from it what it wants, and stores that.
func crashMonitored() {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	child := exec.Command(exe, "** crash monitor **")
	child.Env = append(os.Environ(), monitorVariable+"="+os.Args[2])
	child.Stderr = os.Stderr
	pipe, err := child.StdinPipe()
	if err != nil {
		panic(err)
	}
	if err := debug.SetCrashOutput(pipe.(*os.File), debug.CrashOptions{}); err != nil {
		panic(err)
	}
	if err := child.Start(); err != nil {
		panic(err)
	}
	fmt.Println("monitored")
	if len(os.Args) < 4 {
		time.Sleep(300 * time.Millisecond) // for a supervisor to notice
	}
	panic("for another monitor")
}

// crashMonitor reads the report to its end and keeps the names of the functions
// on the stack that failed, and a text of the whole.
func crashMonitor(path string) {
	data, err := io.ReadAll(os.Stdin)
	if err != nil || len(data) == 0 {
		os.Exit(0) // it did not crash
	}
	_, stack, _ := strings.Cut(string(data), "\n\ngoroutine ")
	stack, _, _ = strings.Cut(stack, "\n\n")
	var names []string
	for line := range strings.SplitSeq(stack, "\n") {
		if name, _, ok := strings.Cut(line, "("); ok && !strings.HasPrefix(line, "\t") && !strings.HasSuffix(line, ":") {
			names = append(names, name)
		}
	}
	partial := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	text := "crash\n" + strings.Join(names, "\n") + "\n\n" + string(data)
	if os.WriteFile(partial, []byte(text), 0o600) == nil {
		os.Rename(partial, path)
	}
	os.Exit(0)
}
