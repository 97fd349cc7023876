// Package crasher builds the program of internal/acceptance/testdata/crasher,
// which ends in the way that it is told to, for the tests that watch it do so.
package crasher

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A Variant is one way of building the program.
type Variant string

// The variants.
const (
	Plain    Variant = "plain"
	PIE      Variant = "pie"
	Stripped Variant = "stripped" // Plain, stripped of symbols: the addresses are the same
	Race     Variant = "race"
	Cgo      Variant = "cgo"
)

// Variants lists them all.
func Variants() []Variant { return []Variant{Plain, PIE, Stripped, Race, Cgo} }

var (
	mu    sync.Mutex
	dir   string
	built = map[Variant]string{}
)

// Build returns the path of the program, built once for each variant and test
// binary. It is world-readable, so that tests can run it as another user.
func Build(t testing.TB, variant Variant) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if path, ok := built[variant]; ok {
		return path
	}
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "crasher"); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "crasher-"+string(variant))
	args := []string{"build", "-o", path}
	cgo := "CGO_ENABLED=0"
	switch variant {
	case Plain:
	case PIE:
		args = append(args, "-buildmode=pie")
	case Stripped:
		defer func() {
			if out, err := exec.Command("strip", "-s", path).CombinedOutput(); err != nil {
				t.Fatalf("stripping crasher: %v\n%s", err, out)
			}
		}()
	case Race:
		args = append(args, "-race")
		cgo = "CGO_ENABLED=1"
	case Cgo:
		args = append(args, "-tags=crashercgo")
		cgo = "CGO_ENABLED=1"
	default:
		t.Fatalf("crasher: unknown variant %q", variant)
	}
	cmd := exec.Command("go", append(args, source(t))...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building crasher (%s): %v\n%s", variant, err, out)
	}
	built[variant] = path
	return path
}

// Clean removes what Build made; a TestMain calls it after the tests.
func Clean() {
	mu.Lock()
	defer mu.Unlock()
	if dir != "" {
		os.RemoveAll(dir)
	}
}

// source returns the folder of the program's source.
func source(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || strings.HasPrefix(file, "github.com/") {
		t.Fatal("crasher: the test was built with -trimpath, so the program's source cannot be found")
	}
	return filepath.Join(filepath.Dir(file), "..", "acceptance", "testdata", "crasher")
}
