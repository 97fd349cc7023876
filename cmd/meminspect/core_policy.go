//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/meminspect/meminspect/internal/lazyexp"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// A rule of a policy file is what core-handler does about the processes of a program.
type rule struct {
	// Program is the path of the executable, or its name. * matches any characters
	// except a slash.
	Program string `yaml:"program"`

	// Ignore leaves no core.
	Ignore bool `yaml:"ignore"`

	// Flags are flags of core-handler and their values. A flag on the command line
	// takes precedence.
	Flags map[string]string `yaml:"flags"`
}

// A policy is the content of a policy file.
type policy struct {
	Rules []rule `yaml:"rules"`
}

// wanted describes the values of a policy file, by their Go types.
var wanted = map[string]string{
	"main.policy":       `want "rules:" and a list of rules`,
	"[]main.rule":       "want a list of rules",
	"main.rule":         "want a rule with the keys program, ignore, flags",
	"map[string]string": "want flags and their values",
	"bool":              "want true or false",
	"string":            "want a text",
}

var (
	unknownKey = lazyexp.New("^line ([0-9]+): field (.*) not found in type main\\.([a-z]+)$")
	wrongValue = lazyexp.New("(?s)^line ([0-9]+): cannot unmarshal ![^ ]* (?:`(.*)` )?into (.*)$")
	wrongText  = lazyexp.New("^yaml: line ([0-9]+): (.*)$")
)

// explainYAML returns an error about a policy file in the file's terms.
func explainYAML(name string, err error) string {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) || len(wrong.Errors) == 0 {
		if m := wrongText().FindStringSubmatch(err.Error()); m != nil {
			return fmt.Sprintf("%s: it is not YAML: near line %s: %s", name, m[1], m[2])
		}
		return fmt.Sprintf("%s: %v", name, err)
	}
	text := wrong.Errors[0]
	if m := unknownKey().FindStringSubmatch(text); m != nil {
		what, keys := "a rule", "program, ignore, flags"
		if m[3] == "policy" {
			what, keys = "the file", "rules"
		}
		return fmt.Sprintf("%s:%s: %s has no key %q: it has %s", name, m[1], what, m[2], keys)
	}
	if m := wrongValue().FindStringSubmatch(text); m != nil {
		want := wanted[m[3]]
		if want == "" {
			want = "another kind of value is expected"
		}
		if m[2] == "" {
			return fmt.Sprintf("%s:%s: %s", name, m[1], want)
		}
		return fmt.Sprintf("%s:%s: %q: %s", name, m[1], m[2], want)
	}
	return name + ": " + text
}

// maxPolicy bounds a policy file.
const maxPolicy = 1 << 20

// readPolicy returns the rules of a file that only the superuser, or this user, may
// change.
func readPolicy(name string) ([]rule, error) {
	f, err := plainfile.OpenLink(name)
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || info.Mode().Perm()&0o022 != 0 || st.Uid != 0 && int(st.Uid) != os.Getuid() {
		return nil, fmt.Errorf("--policy: %s: other users may change it: set its owner and its mode", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	if len(data) > maxPolicy {
		return nil, fmt.Errorf("--policy: %s: larger than %d bytes", name, maxPolicy)
	}
	var policy policy
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	switch err := decoder.Decode(&policy); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("--policy: %s: it has no rules: write \"rules: []\" if that is meant", name)
	case err != nil:
		return nil, fmt.Errorf("--policy: %s", explainYAML(name, err))
	}
	for i, r := range policy.Rules {
		if _, err := path.Match(r.Program, ""); err != nil || r.Program == "" {
			return nil, fmt.Errorf("--policy: %s: rule %d: program %q: want a path or a name", name, i+1, r.Program)
		}
	}
	return policy.Rules, nil
}

// checkPolicy reads a policy file, if it exists already, and sets the flags of each rule
// as the handler will do.
func checkPolicy(file string) error {
	if file == "" {
		return nil
	}
	rules, err := readPolicy(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range rules {
		if err := rules[i].apply(coreHandlerCommand().Flags()); err != nil {
			return err
		}
	}
	return nil
}

// programOf returns the path of the executable of a process, by its folder in /proc. If
// its main thread has ended, the others still have it. A process without one has the name
// that the kernel passed.
func programOf(dir, command string) (string, error) {
	threads, err := filepath.Glob(filepath.Join(dir, "task/*"))
	if err != nil {
		return "", err
	}
	for _, of := range append([]string{dir}, threads...) {
		exe, err := os.Readlink(filepath.Join(of, "exe"))
		if !errors.Is(err, fs.ErrNotExist) {
			return strings.TrimSuffix(exe, " (deleted)"), err
		}
	}
	return command, nil
}

// matching returns the first rule for a program, or nil.
func matching(rules []rule, program string) *rule {
	for i := range rules {
		pattern, name := rules[i].Program, program
		if !strings.Contains(pattern, "/") {
			name = filepath.Base(program)
		}
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return &rules[i]
		}
	}
	return nil
}

const policyUsage = "`file` of rules for programs, in YAML: which to ignore, and with which flags to capture the others"

// applyPolicy sets the flags of the rule for the program of a process, and reports
// whether it is ignored.
func applyPolicy(file string, pid int, command string, flags *pflag.FlagSet) (ignore bool, err error) {
	rules, err := readPolicy(file)
	if err != nil {
		return false, fmt.Errorf("core-handler: %w", err)
	}
	program, err := programOf(fmt.Sprint("/proc/", pid), command)
	if err != nil {
		return false, fmt.Errorf("core-handler: --policy: find the program of process %d: %w", pid, err)
	}
	r := matching(rules, program)
	if r == nil {
		return false, nil
	}
	if err := r.apply(flags); err != nil {
		return false, fmt.Errorf("core-handler: %w", err)
	}
	return r.Ignore, nil
}

// apply sets the flags of a rule that the command line does not have.
func (r *rule) apply(flags *pflag.FlagSet) error {
	for name, value := range r.Flags {
		flag := flags.Lookup(name)
		if flag == nil || name == "policy" {
			return fmt.Errorf("--policy: program %s: core-handler has no flag --%s", r.Program, name)
		}
		if flag.Changed {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("--policy: program %s: --%s: %w", r.Program, name, err)
		}
	}
	return nil
}
