package debuginfo_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/matrix"
)

const constantsSource = `package main

import (
	"fmt"
	"time"
)

type state int8

const (
	idle state = iota - 1
	running
	stopped
	last = stopped
)

type size uint64

const page, most size = 1 << 12, 1 << 63

type name string

const first name = "first"

// Of a type of another package.
const soon time.Month = 13

func main() { fmt.Println(idle, running, page, first, soon) }
`

// Constants have their names, with every version of DWARF. A stripped file has none.
func TestConstants(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"main.go": constantsSource, "go.mod": "module example.com/constants\n\ngo 1.21\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, toolchain := range []string{"local", "go1.24.9", "go1.27.3", "go1.25.5", "go1.21.13"} {
		t.Run(toolchain, func(t *testing.T) {
			if i > 1 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			f := buildIn(t, dir, toolchain)
			c, err := debuginfo.OpenConstants(f, debuginfo.NoLimit)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []struct {
				pkg, typ string
				names    debuginfo.Names
			}{
				{"main", "state", debuginfo.Names{-1: "idle", 0: "running", 1: "stopped"}},
				{"main", "size", debuginfo.Names{1 << 12: "page", -1 << 63: "most"}},
				{"main", "name", nil},
				{"main", "Month", nil},
				{"example.com/none", "state", nil},
			} {
				if got, err := c.Of(want.pkg, want.typ); err != nil || !maps.Equal(got, want.names) {
					t.Errorf("%s.%s: %v, %v; want %v", want.pkg, want.typ, got, err, want.names)
				}
			}
			if got, err := c.Of("time", "Month"); err != nil || len(got) != 12 || got[5] != "May" {
				t.Errorf("time.Month: %v, %v", got, err)
			}
		})
	}
	if _, err := debuginfo.OpenConstants(buildIn(t, dir, "local", "-ldflags=-w"), debuginfo.NoLimit); !errors.Is(err, debuginfo.ErrNone) {
		t.Errorf("without debug information: %v", err)
	}
}

// buildIn builds the program in a folder.
func buildIn(t *testing.T, dir, toolchain string, args ...string) *exe.File {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", append(append([]string{"build", "-o", bin}, args...), ".")...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN="+toolchain)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	f, err := exe.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
