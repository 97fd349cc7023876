//go:build linux

package main

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// goSettings are the settings of Go's runtime that a supervisor inherits but
// that are meant for its program: a memory limit would limit the supervisor,
// GODEBUG would make it trace into the program's standard error, and an unknown
// GODEBUG setting would abort it.
var goSettings = []string{"GODEBUG", "GOGC", "GOMEMLIMIT", "GOTRACEBACK", "GOMAXPROCS"}

// keptPrefix precedes the name of a setting that is passed through an exec.
const keptPrefix = "MEMINSPECT_KEPT_"

// sanitizeEnv removes the settings that are for the program from this process,
// and returns the program's environment, which has them. Go reads most of them
// once, before main, so this process executes itself again without them. If it
// cannot, it does what can be done later.
func sanitizeEnv() []string {
	env := os.Environ()
	if vector, err := unix.Auxv(); err == nil {
		if secure, _ := secureOf(vector); secure { // our file has capabilities, or is set-user-ID
			env = withoutForced(env)
		}
	}
	hidden, found := hideSettings(env)
	if found {
		if path, err := os.Executable(); err == nil {
			_ = unix.Exec(path, os.Args, hidden) // returns only if it fails
		}
	}
	for _, name := range goSettings {
		os.Unsetenv(name)
		os.Unsetenv(keptPrefix + name)
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(1<<63 - 1)
	debug.SetTraceback("single")
	return restoreSettings(env)
}

// withoutForced removes the setting with which Go's runtime begins the environment of
// such a process at every start. Because of it the process would execute itself
// without end, and it is not meant for the program. What the user has set is not known.
func withoutForced(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, "GOTRACEBACK=") })
}

// hideSettings renames the settings in an environment, and reports whether there
// were any.
func hideSettings(env []string) (hidden []string, found bool) {
	hidden = slices.Clone(env)
	for i, kv := range hidden {
		if name, _, ok := strings.Cut(kv, "="); ok && slices.Contains(goSettings, name) {
			hidden[i], found = keptPrefix+kv, true
		}
	}
	return hidden, found
}

// restoreSettings is the inverse of hideSettings.
func restoreSettings(env []string) []string {
	env = slices.Clone(env)
	for i, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if setting, ok := strings.CutPrefix(name, keptPrefix); ok && slices.Contains(goSettings, setting) {
			env[i] = strings.TrimPrefix(kv, keptPrefix)
		}
	}
	return env
}
