// Package coretest tests the state of a program from outside: a test captures a program
// that it started, or itself, and compares annotated variables with what they should be.
//
//	core := coretest.Capture(t, cmd.Process.Pid)
//	coretest.Equal(t, core, "main.served", 42)
//	coretest.Within(t, core, "len(main.queue.jobs)", 0, 100)
//	coretest.Golden(t, core, "testdata/state.golden", "main.config", "main.sessions")
//
// Captures need Linux, and the right to read the process: see `meminspect doctor`.
package coretest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/inspect"
)

// Capture captures a Go program that the test started, and stops it for that moment, so
// that no value is torn. The core is closed when the test ends. A failure ends the test.
func Capture(tb testing.TB, pid int) *inspect.Core {
	tb.Helper()
	return captured(tb, pid, capture.StopAlways)
}

// Self captures the test itself. Its goroutines run on: variables that change at that
// moment may be torn.
func Self(tb testing.TB) *inspect.Core {
	tb.Helper()
	return captured(tb, os.Getpid(), capture.StopNever)
}

func captured(tb testing.TB, pid int, stop capture.Stop) *inspect.Core {
	tb.Helper()
	made, err := capture.Capture(tb.Context(), pid, capture.Options{Stop: stop})
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := made.WriteTo(&b); err != nil {
		tb.Fatal(err)
	}
	core, err := inspect.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { core.Close() })
	return core
}

// Equal reports an error if the value to which a path leads differs from want, or if the
// core does not have all of it. The value is decoded into want's type, see
// [inspect.Value.Decode]: numbers of other sizes are equal if they are the same.
func Equal(tb testing.TB, core *inspect.Core, path string, want any) {
	tb.Helper()
	got := reflect.New(reflect.TypeOf(&want).Elem())
	if want != nil {
		got = reflect.New(reflect.TypeOf(want))
	}
	if err := core.Var(path).Decode(got.Interface()); err != nil {
		tb.Errorf("%s: %v", path, err)
		return
	}
	all := cmp.Exporter(func(reflect.Type) bool { return true })
	if diff := cmp.Diff(want, got.Elem().Interface(), all); diff != "" {
		tb.Errorf("%s differs from what is wanted (-want +got):\n%s", path, diff)
	}
}

// Within reports an error if the number to which a path leads is less than low or more
// than high.
func Within(tb testing.TB, core *inspect.Core, path string, low, high float64) {
	tb.Helper()
	var got float64
	if err := core.Var(path).Decode(&got); err != nil {
		tb.Errorf("%s: %v", path, err)
		return
	}
	if got < low || got > high {
		tb.Errorf("%s is %v: want %v to %v", path, got, low, high)
	}
}

// updateVariable is the environment variable that asks Golden to write its files.
const updateVariable = "UPDATE_GOLDEN"

// Golden reports an error if the values to which paths lead, in Go syntax, differ from the
// text in a file. With UPDATE_GOLDEN=1 in the environment it writes the file instead.
// Addresses are numbered in the order in which they occur.
func Golden(tb testing.TB, core *inspect.Core, file string, paths ...string) {
	tb.Helper()
	var b strings.Builder
	for _, path := range paths {
		v := core.Var(path)
		if err := v.Err(); err != nil {
			tb.Errorf("%s: %v", path, err)
			return
		}
		for _, one := range v.All() {
			fmt.Fprintf(&b, "%s = %s\n", one.Path(), one)
		}
	}
	got := numbered(b.String())
	if os.Getenv(updateVariable) != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			tb.Error(err)
			return
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			tb.Error(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tb.Errorf("%v: run the test with %s=1 to write it", err, updateVariable)
		return
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		tb.Errorf("values differ from %s (-file +core), %s=1 updates it:\n%s", file, updateVariable, diff)
	}
}

var addresses = regexp.MustCompile(`\b0x[0-9a-f]{5,16}\b`)

// numbered replaces addresses, which differ in each run.
func numbered(text string) string {
	seen := map[string]int{}
	return addresses.ReplaceAllStringFunc(text, func(addr string) string {
		if _, ok := seen[addr]; !ok {
			seen[addr] = len(seen) + 1
		}
		return fmt.Sprintf("#%d", seen[addr])
	})
}
