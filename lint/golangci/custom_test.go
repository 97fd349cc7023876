package golangci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/moduleproxy"
	"github.com/meminspect/meminspect/internal/vetoutput"
)

// A custom golangci-lint, built as docs/reference/lint.md describes with the plugin from
// a module proxy, reports the same findings in the fixtures as the vet tool,
// and nolintlint does not complain about the comments that suppress findings.
// Building golangci-lint takes minutes.
func TestCustomBuild(t *testing.T) {
	if !matrix.Whole() {
		t.Skip("MEMINSPECT_FULL is not set: building golangci-lint takes minutes")
	}
	work := t.TempDir()
	proxy, err := moduleproxy.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Remove(); err != nil {
			t.Error(err)
		}
	})
	copyFixtures(t, work)

	custom, settings := documented(t)
	plugin := "github.com/meminspect/meminspect/lint/golangci"
	custom = strings.Replace(custom, "version: v0.1.0", "version: "+proxy.Version, 1)
	if !strings.Contains(custom, proxy.Version) || !strings.Contains(custom, plugin) {
		t.Fatalf("the documented configuration is not what it was:\n%s", custom)
	}
	// The comments that suppress findings must be recognized as used. By default
	// golangci-lint reports nothing in generated files.
	settings = strings.Replace(settings, "  enable:\n", "  default: none\n  exclusions:\n    generated: disable\n  enable:\n    - nolintlint\n", 1) +
		"issues:\n  uniq-by-line: false\n"
	write(t, filepath.Join(work, ".custom-gcl.yml"), custom)
	write(t, filepath.Join(work, ".golangci.yaml"), settings)

	_, version, _ := strings.Cut(strings.SplitN(custom, "\n", 2)[0], "version: ")
	build := command(t, work, golangciLint(t), "custom")
	build.Env = append(build.Env, proxy.Env()...)
	build.Env = append(build.Env, repository(t, version)...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("golangci-lint custom: %v\n%s", err, out)
	}

	got := customFindings(t, work)
	want := vetFindings(t, work)
	if len(want) < 40 {
		t.Errorf("the vet tool finds only %d", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vet tool (-), golangci-lint (+):\n%s", diff)
	}
}

// documented returns the two configurations of docs/reference/lint.md.
func documented(t *testing.T) (custom, settings string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")
	if len(blocks) != 3 {
		t.Fatalf("docs/reference/lint.md has %d blocks of YAML", len(blocks)-1)
	}
	custom, _, _ = strings.Cut(blocks[1], "```")
	settings, _, _ = strings.Cut(blocks[2], "```")
	return custom, settings
}

// copyFixtures copies the analyzers' fixture module.
func copyFixtures(t *testing.T, work string) {
	t.Helper()
	if err := os.CopyFS(work, os.DirFS("../testdata")); err != nil {
		t.Fatal(err)
	}
	runtime, err := filepath.Abs("../../runtime")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(work, "go.work"), "go 1.26.0\n\nuse (\n\t.\n\t./other\n\t"+strconv.Quote(runtime)+"\n)\n")
}

// repository makes a repository of golangci-lint's source from its module, in
// place of the one that "custom" clones, and returns the settings for git.
func repository(t *testing.T, version string) []string {
	t.Helper()
	var module struct{ Dir string }
	download := exec.Command("go", "mod", "download", "-json", "github.com/golangci/golangci-lint/v2@"+version)
	download.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	download.Dir = t.TempDir()
	out, err := download.Output()
	if err != nil {
		t.Fatalf("download golangci-lint: %v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	forge := t.TempDir()
	dir := filepath.Join(forge, "golangci-lint.git")
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"add", "-A", "-f"},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", version},
		{"tag", version},
	} {
		git := command(t, dir, "git", args...)
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return []string{
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=url.file://" + filepath.ToSlash(forge) + "/.insteadOf",
		"GIT_CONFIG_VALUE_0=https://github.com/golangci/",
	}
}

// golangciLint finds the pinned golangci-lint.
func golangciLint(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"../../.tools/bin/golangci-lint", "golangci-lint"} {
		if path, err := exec.LookPath(name); err == nil {
			if path, err = filepath.Abs(path); err == nil {
				return path
			}
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("golangci-lint is not installed")
	}
	t.Skip("golangci-lint is not installed: make tools")
	return ""
}

// customFindings runs the custom binary and returns "file:line:col: message
// (analyzer)" for each of our findings, and the output of other linters
// unchanged.
func customFindings(t *testing.T, work string) []string {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	run := command(t, work, "./custom-gcl", "run", "--max-issues-per-linter=0", "--max-same-issues=0",
		"--output.json.path="+report, "--issues-exit-code=0", "./...")
	run.Env = append(run.Env, "GOLANGCI_LINT_CACHE="+t.TempDir())
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("custom-gcl run: %v\n%s", err, out)
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct {
				Filename     string
				Line, Column int
			}
		}
	}
	if err := json.Unmarshal(data, &parsed); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, issue := range parsed.Issues {
		analyzer, message, ok := strings.Cut(issue.Text, ": ")
		if issue.FromLinter != "meminspect" || !ok {
			analyzer, message = issue.FromLinter, issue.Text
		}
		list = append(list, fmt.Sprintf("%s:%d:%d: %s (%s)",
			filepath.ToSlash(issue.Pos.Filename), issue.Pos.Line, issue.Pos.Column, message, analyzer))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// vetFindings runs go vet with the vet tool of this tree and returns its
// findings in the same form.
func vetFindings(t *testing.T, work string) []string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "meminspect-vet")
	if out, err := command(t, "../..", "go", "build", "-o", tool, "./cmd/meminspect-vet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	vet := command(t, work, "go", "vet", "-json", "-vettool="+tool, "./...")
	out, err := vet.CombinedOutput()
	if err != nil {
		t.Fatalf("go vet: %v\n%s", err, out)
	}
	tree, rest, err := vetoutput.Read(out)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v %q", err, rest)
	}
	findings, failures := tree.Findings()
	if len(failures) > 0 {
		t.Fatal(failures)
	}
	var text bytes.Buffer
	if err := vetoutput.Text(&text, work, findings); err != nil {
		t.Fatal(err)
	}
	list := strings.Split(strings.TrimSpace(filepath.ToSlash(text.String())), "\n")
	slices.Sort(list)
	return slices.Compact(list)
}

// command makes a command that runs in dir with the go command's default
// settings.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD=", "GOWORK=")
	return cmd
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
