//go:build linux && amd64

// Package baseline compares what the commands of this tree write with what those
// of an earlier commit write, so that a change of the code's structure does not
// change its results by accident.
package baseline

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// commit is the baseline: the last one that changed the contents of cores on
// purpose.
//
// A commit that changes the layout of what a program holds in its memory makes
// the programs of the baseline unreadable. It moves the baseline to its parent.
const commit = "742fea7fa9b3"

// intended lists the differences to the baseline that are on purpose. Each entry
// changes one of the two cores, or both, so that nothing of its difference is
// left. With entries, segments and notes are compared and not the whole file.
var intended = []change{}

// A change is one difference on purpose.
type change struct {
	what  string
	apply func(baseline, tree *core)
}

// variants are the ways to filter a core. tree replaces flags for the tool of
// the tree, where a flag has changed on purpose.
var variants = []struct {
	name        string
	flags, tree []string
}{
	{name: "default"},
	{name: "strict", flags: []string{"--strict"}},
	{name: "data", flags: []string{"--data", "--stacks=none"}},
	{name: "skeleton", flags: []string{"--stacks=skeleton"}},
	{name: "all", flags: []string{"--stacks=full", "--args", "--labels", "--depth=100", "--budget=1GiB", "--region-budget=1GiB"}},
	// Not with a budget that is too small for all: it is shared otherwise now.
	{name: "little", flags: []string{"--depth=1", "--region-budget=4KiB", "--segments=200"}},
}

// The tool of the tree makes the same of a full core as that of the baseline,
// byte by byte.
func TestFilter(t *testing.T) {
	b := open(t)
	tool := filepath.Join(t.TempDir(), "meminspect")
	run(t, "../../..", nil, "go", "build", "-o", tool, "./cmd/meminspect")
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			whole := b.fullCore(t, p)
			for _, v := range variants {
				t.Run(v.name, func(t *testing.T) {
					tree := v.tree
					if tree == nil {
						tree = v.flags
					}
					want, got := filter(t, b.tool, whole, v.flags), filter(t, tool, whole, tree)
					if diff := compare(t, want, got); len(diff) > 0 {
						t.Errorf("meminspect filter %s: the result is not that of commit %s:\n%s", strings.Join(v.flags, " "), commit, strings.Join(diff, "\n"))
					}
				})
			}
		})
	}
}

// A result is what a tool made of a full core.
type result struct {
	status int
	stderr string
	core   []byte
}

func filter(t *testing.T, tool, whole string, flags []string) result {
	t.Helper()
	small := filepath.Join(t.TempDir(), "small.core")
	cmd := exec.Command(tool, append([]string{"filter", whole, "-q", "-o", small}, flags...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(small)
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return result{cmd.ProcessState.ExitCode(), stderr.String(), filtered.ReplaceAll(text, []byte("${1}2000-01-01T00:00:00Z"))}
}

// filtered matches the time of filtering in a capture record.
var filtered = regexp.MustCompile(`(?s)(filtered.{0,4})\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// compare returns the differences between two results, a line each, after the
// intended ones.
func compare(t *testing.T, want, got result) (diff []string) {
	t.Helper()
	if want.status != got.status {
		diff = append(diff, fmt.Sprintf("exit status %d, baseline %d\n%s", got.status, want.status, got.stderr))
	}
	if bytes.Equal(want.core, got.core) {
		return diff
	}
	baseline, tree := parse(t, want.core), parse(t, got.core)
	for _, c := range intended {
		c.apply(baseline, tree)
	}
	parts := slices.Concat(compareNotes(baseline, tree), compareSegments(baseline, tree), compareMemory(baseline, tree))
	if len(parts) == 0 && len(intended) == 0 {
		at := 0
		for at < min(len(want.core), len(got.core)) && want.core[at] == got.core[at] {
			at++
		}
		parts = append(parts, fmt.Sprintf("notes, segments and memory are the same, but the files of %d and %d bytes differ from offset %#x: in headers, order or padding", len(got.core), len(want.core), at))
	}
	return append(diff, parts...)
}
