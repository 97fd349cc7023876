package main

import (
	"os"
	"os/exec"
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

// Each target installs what it needs, and nothing else.
func TestMakeTools(t *testing.T) {
	for target, want := range map[string][]string{
		"demo": {"github.com/go-delve/delve/cmd/dlv@", "gdb:"},
		"lint": {"github.com/golangci/golangci-lint/v2/cmd/golangci-lint@"},
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
