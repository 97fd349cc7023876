package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/version"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/meminspect/meminspect/internal/vetoutput"
	"github.com/meminspect/meminspect/lint"
)

// lintOptions are what the command line of lint says.
type lintOptions struct {
	json, sarif, fix        bool
	skip                    []string
	tags, modfile, overlays string
}

func lintCommand() *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint [packages]",
		Short: "Find mistakes in annotations and registrations",
		Long: `lint looks for mistakes in the //meminspect: lines and in the registrations of
the packages, by default those below the current directory, and of all they
import. It runs "go vet" with itself as the tool, so that what did not change is
not looked at again, and packages are named as for go vet.

The exit status is 1 when something was found. Each finding names what found it;
"meminspect help lint NAME" explains it.`,
		Example: "  meminspect lint ./...\n  meminspect lint --fix ./...\n  meminspect lint --sarif ./...",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return runLint(cmd, &o, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.json, "json", false, "print findings as JSON, in the shape of go vet -json")
	flags.BoolVar(&o.sarif, "sarif", false, "print findings as SARIF 2.1.0, which code hosts and editors read")
	flags.BoolVar(&o.fix, "fix", false, "make the suggested changes; print what is left")
	flags.StringSliceVar(&o.skip, "skip", nil, "findings not to look for, by `name`")
	flags.StringVar(&o.tags, "tags", "", "build `tags`, as for go build")
	flags.StringVar(&o.modfile, "modfile", "", "another `file` than go.mod, as for go build")
	flags.StringVar(&o.overlays, "overlay", "", "JSON `file` that replaces source files, as for go build")
	exclusive(cmd, "json", "sarif")
	exclusive(cmd, "fix", "overlay")
	cmd.AddCommand(lintTopics()...)
	return cmd
}

func runLint(cmd *cobra.Command, o *lintOptions, patterns []string) error {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	findings, incomplete, err := vet(cmd, o, patterns)
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	if o.fix {
		fixed, err := vetoutput.Apply(findings)
		if err != nil {
			return fmt.Errorf("lint: %w", err)
		}
		for _, name := range fixed.Files {
			fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: lint: changed %s\n", name)
		}
		findings = fixed.Left
	}
	if err := writeFindings(cmd.OutOrStdout(), o, dir, findings); err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	if incomplete != "" {
		if newer, ok := newerGo(cmd.Context()); ok {
			return fmt.Errorf("lint: this program was built with %s and cannot read the standard library of %s: build it with that", runtime.Version(), newer)
		}
		fmt.Fprintln(cmd.ErrOrStderr(), incomplete)
		if !strings.HasPrefix(incomplete, "# ") {
			return errors.New("lint: go vet did not get to look at packages")
		}
		return errors.New("lint: go vet leaves out packages that do not compile; \"meminspect generate --check\" looks at them too")
	}
	if len(findings) > 0 {
		return &exitError{status: exitFindings}
	}
	return nil
}

func writeFindings(w io.Writer, o *lintOptions, dir string, findings []vetoutput.Finding) error {
	switch {
	case o.json:
		return vetoutput.JSON(w, findings)
	case o.sarif:
		var rules []vetoutput.Rule
		for _, a := range lint.Analyzers(lint.Nolint) {
			_, page, _ := strings.Cut(a.Doc, "\n\n")
			rules = append(rules, vetoutput.Rule{Name: a.Name, Summary: lint.Summary(a.Name), Help: page, URL: a.URL})
		}
		return vetoutput.SARIF(w, dir, rules, findings)
	}
	return vetoutput.Text(w, dir, findings)
}

// vet runs go vet with this program as its tool. What go vet said besides
// findings, when it failed, is incomplete.
func vet(cmd *cobra.Command, o *lintOptions, patterns []string) (findings []vetoutput.Finding, incomplete string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	args := []string{"vet", "-json", "-vettool=" + self}
	for _, name := range o.skip {
		if !slices.Contains(lint.Names(), name) {
			return nil, "", fmt.Errorf("--skip %s: there is %s", name, strings.Join(lint.Names(), ", "))
		}
		args = append(args, "-"+name+"=false")
	}
	for _, flag := range []struct{ name, value string }{{"tags", o.tags}, {"modfile", o.modfile}, {"overlay", o.overlays}} {
		if flag.value != "" {
			args = append(args, "-"+flag.name+"="+flag.value)
		}
	}
	run := exec.CommandContext(cmd.Context(), "go", append(append(args, "--"), patterns...)...)
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	failed := run.Run()
	var exit *exec.ExitError
	if failed != nil && !errors.As(failed, &exit) {
		return nil, "", fmt.Errorf("run go vet: %w", failed)
	}
	// Up to Go 1.25 the findings are on standard error, among other lines.
	tree, rest, err := vetoutput.Read(append(stdout.Bytes(), stderr.Bytes()...))
	if err != nil {
		return nil, "", err
	}
	findings, failures := tree.Findings()
	if failed != nil || len(failures) > 0 {
		incomplete = strings.Join(append(rest, failures...), "\n")
	}
	return findings, incomplete, nil
}

// newerGo returns the version of the go command here when the packages that it
// names are too new for the type checker in this program.
func newerGo(ctx context.Context) (string, bool) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	newer := strings.TrimSpace(string(out))
	return newer, err == nil && tooNew(newer, runtime.Version())
}

// tooNew tells whether a program that was built with one Go cannot look at the
// packages of another.
func tooNew(goVersion, built string) bool {
	return version.IsValid(goVersion) && version.IsValid(built) && version.Compare(version.Lang(goVersion), version.Lang(built)) > 0
}

// asVetTool tells whether go vet calls this program as its tool: for its
// version, its flags, or with a package's configuration.
func asVetTool(args []string) bool {
	return len(args) > 0 && (args[0] == "-V=full" || args[0] == "-flags" || strings.HasSuffix(args[len(args)-1], ".cfg"))
}

// vetTool does what go vet asks for, and exits.
func vetTool() { unitchecker.Main(lint.Analyzers(lint.Nolint)...) }
