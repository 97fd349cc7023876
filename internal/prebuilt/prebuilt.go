// Package prebuilt finds programs that were built elsewhere, for tests on machines
// that have no compiler, such as the virtual ones of package vm.
package prebuilt

import (
	"os"
	"path/filepath"
	"testing"
)

// Variable names the directory of the programs.
const Variable = "MEMINSPECT_PREBUILT"

// Find returns the path of a program. ok is false if programs are to be built here. If
// they are not, and the program is missing, the test fails.
func Find(tb testing.TB, name string) (path string, ok bool) {
	tb.Helper()
	dir := os.Getenv(Variable)
	if dir == "" {
		return "", false
	}
	path = filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("%s: %v", Variable, err)
	}
	return path, true
}
