package debuggers

import (
	"errors"
	"os"
	"testing"
)

// Need returns the path of a tool. Where it is missing the test is skipped,
// and on CI, which promises every tool, it fails.
func Need(t testing.TB, tool string) string {
	t.Helper()
	path, err := Find(tool)
	if err != nil {
		missing(t, err)
	}
	return path
}

// Want returns the path of a tool that not every system has. Where it is
// missing the test is skipped.
func Want(t testing.TB, tool string) string {
	t.Helper()
	path, err := Find(tool)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// MustGDB returns what gdb prints for each expression, see GDBPrint.
func MustGDB(t testing.TB, exe, core string, exprs ...string) []string {
	t.Helper()
	values, err := GDBPrint(t.Context(), exe, core, exprs...)
	return must(t, values, err)
}

// MustDelve returns what Delve prints for each expression, see DelvePrint.
func MustDelve(t testing.TB, exe, core string, exprs ...string) []string {
	t.Helper()
	values, err := DelvePrint(t.Context(), exe, core, exprs...)
	return must(t, values, err)
}

// DelveSays returns all that Delve prints for the commands, see Delve.
func DelveSays(t testing.TB, exe, core string, commands ...string) string {
	t.Helper()
	out, err := Delve(t.Context(), exe, core, commands...)
	return must(t, out, err)
}

// GDBSays returns all that gdb prints for the commands, see GDB.
func GDBSays(t testing.TB, exe, core string, commands ...string) string {
	t.Helper()
	out, err := GDB(t.Context(), exe, core, commands...)
	return must(t, out, err)
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if errors.Is(err, ErrMissing) {
		missing(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI promises this tool: %v", err)
	}
	t.Skip(err)
}
