// Package crasher builds the program of internal/acceptance/testdata/crasher,
// which ends in the way that its argument names, for tests.
package crasher

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A Variant is one way of building the program: one of those below, or the name
// of a toolchain, such as go1.24.9, which comes through the module proxy.
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
	built = map[Variant]string{}
	// makeDir makes the folder of all variants, which every user may enter.
	makeDir = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "crasher")
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		return dir, err
	})
)

// Build returns the path of the program, built once for each variant and test
// binary. It is world-readable, so that tests can run it as another user.
func Build(tb testing.TB, variant Variant) string {
	tb.Helper()
	mu.Lock()
	defer mu.Unlock()
	if path, ok := built[variant]; ok {
		return path
	}
	dir, err := makeDir()
	if err != nil {
		tb.Fatal(err)
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
				tb.Fatalf("stripping crasher: %v\n%s", err, out)
			}
		}()
	case Race:
		args = append(args, "-race")
		cgo = "CGO_ENABLED=1"
	case Cgo:
		args = append(args, "-tags=crashercgo")
		cgo = "CGO_ENABLED=1"
	default:
		if !strings.HasPrefix(string(variant), "go1.") {
			tb.Fatalf("crasher: unknown variant %q", variant)
		}
	}
	cmd := exec.Command("go", append(args, source(tb))...)
	cmd.Env = append(os.Environ(), cgo)
	if strings.HasPrefix(string(variant), "go1.") {
		cmd.Args[len(cmd.Args)-1] = "."
		cmd.Dir = alone(tb, filepath.Join(dir, "src-"+string(variant)))
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+string(variant), "GOWORK=")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building crasher (%s): %v\n%s", variant, err, out)
	}
	built[variant] = path
	return path
}

// alone copies the program's source into a workspace of its own, with the
// runtime module, for toolchains that are older than this module wants.
func alone(tb testing.TB, workspace string) string {
	tb.Helper()
	folder := filepath.Join(workspace, "crasher")
	if err := os.CopyFS(folder, os.DirFS(source(tb))); err != nil {
		tb.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join(source(tb), "../../../../runtime"))
	if err != nil {
		tb.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(folder, "go.mod"):     "module crasher\n\ngo 1.24\n",
		filepath.Join(workspace, "go.work"): "go 1.24\n\nuse ./crasher\nuse " + strconv.Quote(root) + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return folder
}

// Clean removes what Build made; a TestMain calls it after the tests.
func Clean() {
	mu.Lock()
	defer mu.Unlock()
	if len(built) == 0 {
		return
	}
	if dir, err := makeDir(); err == nil {
		os.RemoveAll(dir)
	}
}

// source returns the folder of the program's source.
func source(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || strings.HasPrefix(file, "github.com/") {
		tb.Fatal("crasher: the test was built with -trimpath, so the program's source cannot be found")
	}
	return filepath.Join(filepath.Dir(file), "..", "acceptance", "testdata", "crasher")
}
