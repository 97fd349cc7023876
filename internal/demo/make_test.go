package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// `make help` lists every target with a line, and only those that exist.
func TestMakeHelp(t *testing.T) {
	cmd := exec.Command("make", "-C", "../..", "--no-print-directory", "help")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^\.PHONY: (\S+)$`).FindAllStringSubmatch(string(makefile), -1) {
		if !regexp.MustCompile(`(?m)^  ` + match[1] + ` +\S`).Match(out) {
			t.Errorf("make help does not list %s:\n%s", match[1], out)
		}
	}
}

// A target runs in every module, wherever the checkout is, and fails with the first
// that fails.
func TestMakeEachModule(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a check out")
	files := map[string]string{
		"go.work":        "go 1.26\n\nuse (\n\t.\n\t./nested\n)\n",
		"go.mod":         "module example.com/a\n\ngo 1.26\n",
		"a.go":           "package a\n\n//go:generate touch generated\n",
		"nested/go.mod":  "module example.com/a/nested\n\ngo 1.26\n",
		"nested/more.go": "package nested\n\n//go:generate touch generated\n",
	}
	for _, name := range []string{"Makefile", "tools.mk"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	generate := func() ([]byte, error) {
		cmd := exec.Command("make", "-C", dir, "generate")
		cmd.Env = append(os.Environ(), "GOWORK=")
		return cmd.CombinedOutput()
	}
	if out, err := generate(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"generated", "nested/generated"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("the target did not run in a module: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n\n//go:generate false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := generate(); err == nil {
		t.Errorf("make succeeds though a module fails:\n%s", out)
	}
}

// Each target installs what it needs, and nothing else.
func TestMakeTools(t *testing.T) {
	for target, want := range map[string][]string{
		"demo": {"github.com/go-delve/delve/cmd/dlv@", "gdb:"},
		"lint": {"github.com/golangci/golangci-lint/v2/cmd/golangci-lint@", "github.com/vale-cli/vale/v3/cmd/vale@", "gcc:"},
	} {
		out, err := exec.Command("make", "-C", "../..", "--no-print-directory", "-n", target).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		install := regexp.MustCompile(`(?m)^\.ci/tools "[^"]*" (.*)$`).FindAllSubmatch(out, -1)
		if len(install) != 1 {
			t.Fatalf("make %s installs tools %d times:\n%s", target, len(install), out)
		}
		tools := strings.Fields(string(install[0][1]))
		if !slices.EqualFunc(tools, want, strings.HasPrefix) {
			t.Errorf("make %s installs %q, not %q", target, tools, want)
		}
	}
}
