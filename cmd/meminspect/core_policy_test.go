//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// handled passes this process to a handler with a policy, and returns the cores and
// what it prints.
func handled(t *testing.T, policy string, mode os.FileMode, flags ...string) (cores []string, printed string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	args := append([]string{"core-handler", "--dir", dir, "--policy", file}, flags...)
	run(t.Context(), append(args, strconv.Itoa(os.Getpid()), "6", "claimed"), strings.NewReader(""), &out, &out)
	cores, err := filepath.Glob(filepath.Join(dir, "*.core*"))
	if err != nil {
		t.Fatal(err)
	}
	return cores, out.String()
}

// The first rule for a program decides, by its executable and not by the name that it
// gave itself. The command line takes precedence.
func TestCorePolicy(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const compress = "rules:\n- {program: none}\n- {program: '*.test', flags: {compress: true, tag: zone=eu}}\n- {program: '*', ignore: true}\n"
	for name, c := range map[string]struct {
		policy string
		flags  []string
		suffix string // of the core, "" = no core
	}{
		"by name":         {compress, nil, ".core.zst"},
		"by path":         {"rules:\n- {program: " + self + ", ignore: true}\n", nil, ""},
		"claimed name":    {"rules:\n- {program: claimed, ignore: true}\n", nil, ".core"},
		"command line":    {compress, []string{"--compress=false"}, ".core"},
		"no rule matches": {"rules:\n- {program: other, ignore: true}\n", nil, ".core"},
		"no rules":        {"rules: []\n", nil, ".core"},
	} {
		t.Run(name, func(t *testing.T) {
			cores, printed := handled(t, c.policy, 0o600, c.flags...)
			if c.suffix == "" {
				if len(cores) != 0 {
					t.Errorf("%v: %s", cores, printed)
				}
				return
			}
			if len(cores) != 1 || !strings.HasSuffix(cores[0], c.suffix) {
				t.Errorf("%v, want one that ends in %s: %s", cores, c.suffix, printed)
			}
		})
	}
}

// A policy that is wrong, or that other users may change, is an error, and leaves no core
// that a rule might have forbidden.
func TestCorePolicyWrong(t *testing.T) {
	for text, want := range map[string]string{
		"rules:\n- {program: '*', flags: {no-such: 1}}\n":     "core-handler has no flag --no-such",
		"rules:\n- {program: '*', flags: {limit: 3}}\n":       "must be COUNT/TIME",
		"rules:\n- {program: '*', ignroe: true}\n":            "field ignroe not found",
		"rules:\n- {program: '['}\n":                          "want a path or a name",
		"rules:\n- {program: '*', flags: {policy: /etc/x}}\n": "no flag --policy",
	} {
		if cores, printed := handled(t, text, 0o600); len(cores) != 0 || !strings.Contains(printed, want) {
			t.Errorf("%q: %v, %q, want %q", text, cores, printed, want)
		}
	}
	if cores, printed := handled(t, "rules: []\n", 0o622); len(cores) != 0 || !strings.Contains(printed, "other users may change it") {
		t.Errorf("%v, %q", cores, printed)
	}
}
