package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
)

// In trees without annotations there are no findings, and in this one there
// should be none.
func TestNothingToFind(t *testing.T) {
	dirs := []string{"../../runtime", moduleDir(t, "github.com/spf13/cobra")}
	if matrix.Whole() {
		dirs = append(dirs, "../..", "../../lint/golangci",
			moduleDir(t, "golang.org/x/tools"), moduleDir(t, "github.com/klauspost/compress"))
	}
	tool := filepath.Join(t.TempDir(), "tool")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			vet := exec.CommandContext(t.Context(), "go", "vet", "-vettool="+tool, "./...")
			vet.Dir = dir
			if out, err := vet.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// moduleDir returns the folder of a module that this one requires.
func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}
