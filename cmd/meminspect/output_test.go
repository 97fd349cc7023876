package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// silent are the commands that write nothing to standard output, and why.
var silent = map[string]string{
	"run":                    "standard output is the program's",
	"core-handler":           "the kernel starts it without a standard output",
	"core-handler install":   "changes the machine; it prints as the others do",
	"core-handler uninstall": "changes the machine; it prints as the others do",
	"copy":                   "writes a file",
	"man":                    "writes files",
}

// A scenario runs each command with a standard output that cannot be written.
func TestEveryCommandChecksItsOutput(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(repository, "testdata/script/*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, cmd := range allCommands(rootCommand()) {
		verb := verbOf(cmd)
		if !cmd.Runnable() || cmd.HasSubCommands() || silent[verb] != "" {
			continue
		}
		if !regexp.MustCompile(`meminspect ` + verb + `[^\n]* >/dev/full'`).MatchString(all.String()) {
			t.Errorf("no scenario runs %s with standard output on /dev/full", cmd.CommandPath())
		}
	}
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }

// run reports a failed write whatever a command does with the error.
func TestFailedWrite(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--help"}, {"help", "annotations"}, {"completion", "bash"}} {
		var stderr bytes.Buffer
		status := run(context.Background(), args, nil, brokenWriter{errors.New("disk is full")}, &stderr)
		if status != exitUsage || stderr.String() != "meminspect: write standard output: disk is full\n" {
			t.Errorf("%v: status %d, %q", args, status, stderr.String())
		}
	}
}

// Untrusted text has no effect on a terminal, however it is split into writes,
// and stays valid JSON; harmless text is not changed.
func TestOutputEscapes(t *testing.T) {
	for text, want := range map[string]string{
		"naïve → 日本語 \t🙂\n":          "naïve → 日本語 \t🙂\n",
		"\x1b[2J\r\a\x00\x7f":        `\u001b[2J\u000d\u0007\u0000\u007f`,
		"\u009b2J\u202e\u2066\u2028": `\u009b2J\u202e\u2066\u2028`,
		"\x9b2J \xff\xfe \xe2\x82":   `\x9b2J \xff\xfe \xe2\x82`,
		"\ufffd":                     "\ufffd",
	} {
		for size := 1; size <= len(text); size++ {
			var b bytes.Buffer
			o := &output{w: &b}
			for part := range slices.Chunk([]byte(text), size) {
				if n, err := o.Write(part); n != len(part) || err != nil {
					t.Fatalf("%q: %d, %v", part, n, err)
				}
			}
			o.finish()
			if b.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, b.String(), want)
			}
		}
	}
}
