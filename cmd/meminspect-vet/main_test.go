package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain lets the test binary act as the tool, under the tool's name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "meminspect-vet" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The documented command line reports the expected findings in one package, and
// nothing in another.
func TestGoVet(t *testing.T) {
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "meminspect-vet")); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	runtime, err := filepath.Abs("../../runtime")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod":        "module example.com/vetted\n\ngo 1.24\n",
		"go.work":       "go 1.26.0\n\nuse (\n\t.\n\t" + strconv.Quote(runtime) + "\n)\n",
		"quiet/a.go":    "package quiet\n\nvar queue []int\n",
		"mistaken/a.go": "package mistaken\n\n// meminspect:entry\nvar queue []int\n",
	} {
		name = filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "go vet -vettool=$(which meminspect-vet) ./...")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GOWORK="+filepath.Join(work, "go.work"))
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("exit status 0 in spite of a finding")
	}
	// Up to Go 1.25 a line "# package" precedes this.
	want := `mistaken/a.go:3:1: "// meminspect:entry" is not a directive and would be ignored: write //meminspect:entry` + "\n"
	got := strings.TrimPrefix(strings.ReplaceAll(string(out), `\`, "/"), "# example.com/vetted/mistaken\n")
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
