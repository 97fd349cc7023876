//go:build linux

package supervise

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// meant are the settings of Go's runtime that are meant for the program and that
// we inherit: a limit for its collector of garbage would be ours, GODEBUG would
// have us trace into its standard error, and a debug setting that our Go does not
// know any more would end us.
var meant = []string{"GODEBUG", "GOGC", "GOMEMLIMIT", "GOTRACEBACK", "GOMAXPROCS"}

// kept stands before the name of a setting that is handed through an exec.
const kept = "MEMINSPECT_KEPT_"

// Scrub frees this process of settings that were meant for the program, and
// returns the environment with them. Go reads most of them once, before main: so
// this process begins anew without them. Where it cannot, it does what can be
// done later.
func Scrub() []string {
	env := os.Environ()
	renamed, found := rename(env)
	if found {
		if path, err := os.Executable(); err == nil {
			_ = unix.Exec(path, os.Args, renamed) // returns only if it fails
		}
	}
	for _, name := range meant {
		os.Unsetenv(name)
		os.Unsetenv(kept + name)
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(1<<63 - 1)
	debug.SetTraceback("single")
	return restore(env)
}

// rename hides the settings in an environment, and tells whether there were any.
func rename(env []string) (renamed []string, found bool) {
	renamed = slices.Clone(env)
	for i, kv := range renamed {
		if name, _, ok := strings.Cut(kv, "="); ok && slices.Contains(meant, name) {
			renamed[i], found = kept+kv, true
		}
	}
	return renamed, found
}

// restore is the inverse of rename.
func restore(env []string) []string {
	env = slices.Clone(env)
	for i, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if hidden, ok := strings.CutPrefix(name, kept); ok && slices.Contains(meant, hidden) {
			env[i] = strings.TrimPrefix(kv, kept)
		}
	}
	return env
}
