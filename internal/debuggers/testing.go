package debuggers

import (
	"errors"
	"os"
	"testing"
)

// Need returns the path of a tool. Where it is missing the test is skipped,
// and on CI, which promises every tool, it fails.
func Need(tb testing.TB, tool string) string {
	tb.Helper()
	path, err := Find(tool)
	if err != nil {
		missing(tb, err)
	}
	return path
}

// MustGDB returns what gdb prints for each expression, see GDBPrint.
func MustGDB(tb testing.TB, exe, core string, exprs ...string) []string {
	tb.Helper()
	values, err := GDBPrint(tb.Context(), exe, core, exprs...)
	return must(tb, values, err)
}

// MustDelve returns what Delve prints for each expression, see DelvePrint.
func MustDelve(tb testing.TB, exe, core string, exprs ...string) []string {
	tb.Helper()
	values, err := DelvePrint(tb.Context(), exe, core, exprs...)
	return must(tb, values, err)
}

// DelveSays returns all that Delve prints for the commands, see Delve.
func DelveSays(tb testing.TB, exe, core string, commands ...string) string {
	tb.Helper()
	out, err := Delve(tb.Context(), exe, core, commands...)
	return must(tb, out, err)
}

// GDBSays returns all that gdb prints for the commands, see GDB.
func GDBSays(tb testing.TB, exe, core string, commands ...string) string {
	tb.Helper()
	out, err := GDB(tb.Context(), exe, core, commands...)
	return must(tb, out, err)
}

func must[T any](tb testing.TB, v T, err error) T {
	tb.Helper()
	if errors.Is(err, ErrMissing) {
		missing(tb, err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func missing(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("CI promises this tool: %v", err)
	}
	tb.Skip(err)
}
