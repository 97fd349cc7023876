//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/plainfile"
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
		"rules:\n- {program: '*', ignroe: true}\n":            "policy.yaml:2: a rule has no key \"ignroe\": it has program, ignore, flags\n",
		"rule:\n- {program: '*'}\n":                           "policy.yaml:1: the file has no key \"rule\": it has rules\n",
		"rules:\n- program sleep\n":                           "policy.yaml:2: \"program...\": want a rule with the keys program, ignore, flags\n",
		"rules: {program: a}\n":                               "policy.yaml:1: want a list of rules\n",
		"rules:\n- {program: a, ignore: maybe}\n":             "policy.yaml:2: \"maybe\": want true or false\n",
		"rules:\n- {program: a\n":                             "policy.yaml: it is not YAML: near line 1: ",
		"- {program: a}\n":                                    "policy.yaml:1: want \"rules:\" and a list of rules\n",
		"rules:\n- {program: '*', flags: {on-hang: kill}}\n":  "program *: core-handler has no flag --on-hang\n",
		"rules:\n- {program: '*', flags: {snapshot: 1s}}\n":   "program *: core-handler has no flag --snapshot\n",
		"rules:\n- {program: '['}\n":                          "want a path or a name",
		"":                                                    "it has no rules",
		"# a comment\n":                                       "it has no rules",
		strings.Repeat("#", maxPolicy+1):                      "larger than",
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

// Only a file is a policy: a pipe does not block the handler, and a directory is an error.
func TestCorePolicyNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, dir} {
		if _, err := readPolicy(name); !errors.Is(err, plainfile.ErrNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("rules: []\n"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := readPolicy(link); err != nil { // as Kubernetes mounts its configuration
		t.Error(err)
	}
}

// Only a process without an executable has the name that it gave itself: the rule for
// another program would not be that for this one.
func TestProgramOf(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink("/bin/server (deleted)", filepath.Join(dir, "exe")),
		os.MkdirAll(filepath.Join(dir, "zombie/task/1"), 0o700), os.MkdirAll(filepath.Join(dir, "zombie/task/2"), 0o700), os.Symlink("/bin/server", filepath.Join(dir, "zombie/task/2/exe"))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dir, want string
		fails     bool
	}{
		"none":              {filepath.Join(dir, "none"), "claimed", false},
		"deleted":           {dir, "/bin/server", false},
		"ended main thread": {filepath.Join(dir, "zombie"), "/bin/server", false},
		"unreadable":        {file, "", true},
	} {
		if got, err := programOf(c.dir, "claimed"); got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A policy that the handler would reject for a program is rejected by install. One that
// does not exist yet is not.
func TestCorePolicyInstall(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"rules:\n- {program: a, flags: {limit: 3/1h}}\n- {program: b, ignore: true}\n":     "",
		"rules:\n- {program: a, flags: {limit: 3/1h}}\n- {program: b, flags: {limt: 1}}\n": "program b: core-handler has no flag --limt",
		"rules:\n- {program: a, flags: {limit: 3}}\n":                                      "must be COUNT/TIME",
		"rules:\n- {program: a, flags: {before: x}}\n":                                     "no flag --before",
		"": "it has no rules",
	} {
		file := filepath.Join(dir, "policy.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := checkPolicy(file); (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := errors.Join(checkPolicy(""), checkPolicy(filepath.Join(dir, "none"))); err != nil {
		t.Error(err)
	}
	// install stops there. The space in its directory keeps it from changing the setting of
	// this machine in any case.
	before := filepath.Join(dir, "before")
	var out bytes.Buffer
	status := run(t.Context(), []string{"core-handler", "install", "--dir", dir + "/a b", "--before", before, "--policy", dir}, nil, &out, &out)
	if _, err := os.Stat(before); status != exitUsage || err == nil || !strings.Contains(out.String(), "core-handler install: --policy: ") {
		t.Errorf("exit status %d, %v: %s", status, err, &out)
	}
}
