package main

import (
	"os"
	"os/exec"
	"regexp"
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
