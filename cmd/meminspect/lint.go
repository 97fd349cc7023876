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

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/gen"
	"github.com/meminspect/meminspect/internal/folders"
	"github.com/meminspect/meminspect/internal/nolint"
	"github.com/meminspect/meminspect/internal/vetoutput"
	"github.com/meminspect/meminspect/lint"
)

// lintOptions are the flags of lint.
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
		Long: `Lint finds mistakes in the //meminspect: lines and in the registrations of
packages, by default all below this folder. Packages are named as for generate.
It checks directives and generated files in all of them. For the checks that need
types it runs "go vet" with itself as the tool, on the packages that use
meminspect. go vet caches its results.

The exit status is 1 if something was found. Each line ends with the name of the
finding; "meminspect help lint NAME" explains it.`,
		Example: "  meminspect lint ./...\n  meminspect lint --fix ./...\n  meminspect lint --sarif ./...",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return runLint(cmd, &o, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.json, "json", false, "print findings as JSON, in the form of go vet -json")
	flags.BoolVar(&o.sarif, "sarif", false, "print findings as SARIF 2.1.0, for code hosts and editors")
	flags.BoolVar(&o.fix, "fix", false, "apply suggested fixes, and print the other findings")
	flags.StringSliceVar(&o.skip, "skip", nil, "omit findings of this `name`; may be repeated")
	flags.StringVar(&o.tags, "tags", "", "build `tags`, as for go build")
	flags.StringVar(&o.modfile, "modfile", "", "another `file` than go.mod, as for go build")
	flags.StringVar(&o.overlays, "overlay", "", "JSON `file` that replaces source files, as for go build")
	exclusive(cmd, "", "json", "sarif")
	exclusive(cmd, "", "fix", "overlay")
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
	findings, incomplete, err := findMistakes(cmd.Context(), o, dir, patterns)
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	if incomplete != "" {
		if newer, ok := newerGo(cmd.Context()); ok {
			return fmt.Errorf("lint: this program was built with %s and cannot read the standard library of %s: build it with that", runtime.Version(), newer)
		}
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
		fmt.Fprintln(cmd.ErrOrStderr(), incomplete)
		if !strings.HasPrefix(incomplete, "# ") {
			return errors.New("lint: go vet could not load the packages: only the findings \"directive\" and \"stale\" are complete")
		}
		return errors.New("lint: go vet leaves out packages that do not compile: only the findings \"directive\" and \"stale\" are complete")
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

// findMistakes runs the generator's check and go vet at the same time, and
// returns the findings of both. The check covers directives and generated files
// in all packages, go vet covers the rest, in packages that compile and that it
// may have findings in. If go vet failed, incomplete has its messages.
func findMistakes(ctx context.Context, o *lintOptions, dir string, patterns []string) (findings []vetoutput.Finding, incomplete string, err error) {
	for _, name := range o.skip {
		if !slices.Contains(lint.Names(), name) {
			return nil, "", fmt.Errorf("--skip %s: not the name of a finding: the names are %s", name, strings.Join(lint.Names(), ", "))
		}
	}
	query := folders.Query{Dir: dir, Patterns: patterns, Flags: goFlags(o.tags, o.modfile, o.overlays)}
	tree, err := folders.Locate(ctx, query)
	if err != nil {
		return nil, "", err
	}
	patterns, err = tree.VetPatterns()
	if err != nil {
		return nil, "", err
	}
	var checked []vetoutput.Finding
	var checkErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		checked, checkErr = checkSources(ctx, o, tree, dir)
	}()
	if len(patterns) > 0 {
		findings, incomplete, err = vet(ctx, o, tree, query, patterns)
	}
	<-done
	if err := errors.Join(err, checkErr); err != nil {
		return nil, "", err
	}
	findings = append(findings, checked...)
	vetoutput.Sort(findings)
	return findings, incomplete, nil
}

// checkSources returns the findings of "meminspect generate --check" as
// findings of the analyzers that report the same under go vet.
func checkSources(ctx context.Context, o *lintOptions, tree *folders.Tree, dir string) ([]vetoutput.Finding, error) {
	result, err := gen.Run(ctx, gen.Config{Dir: dir, Tree: tree, Check: true})
	if err != nil {
		return nil, err
	}
	var findings []vetoutput.Finding
	for _, f := range append(result.Findings, result.Stale...) {
		analyzer := "stale"
		if slices.Contains(annotate.Codes, annotate.Code(f.Code)) {
			analyzer = "directive"
		} else if f.Code != analyzer {
			f.Message = "generate refuses: " + f.Message
		}
		if f.Warning || slices.Contains(o.skip, analyzer) {
			continue
		}
		source, err := tree.Overlay.Read(f.Pos.Filename, nil)
		if err == nil && nolint.Suppressed(source, nolint.Finding{Line: f.Pos.Line, Linter: lint.Name, Analyzer: analyzer}, true) {
			continue
		}
		findings = append(findings, vetFinding(f, analyzer))
	}
	return findings, nil
}

// vetFinding returns a finding in the form that go vet prints.
func vetFinding(f gen.Finding, analyzer string) vetoutput.Finding {
	v := vetoutput.Finding{
		Package: f.Package, Analyzer: analyzer, Message: f.Message,
		Posn: f.Pos.String(), End: f.End.String(),
	}
	if analyzer == "directive" {
		v.Category = f.Code
	}
	if f.Fix != nil {
		v.Fixes = []vetoutput.Fix{{Message: f.Fix.Message, Edits: []vetoutput.Edit{
			{Filename: f.Pos.Filename, Start: f.Fix.Start, End: f.Fix.End, New: f.Fix.New},
		}}}
	}
	return v
}

// vet runs go vet with this program as its tool.
func vet(ctx context.Context, o *lintOptions, tree *folders.Tree, query folders.Query, patterns []string) (findings []vetoutput.Finding, incomplete string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	args := []string{"vet", "-json", "-vettool=" + self}
	for _, name := range append(lint.FromSyntax(), o.skip...) {
		args = append(args, "-"+name+"=false")
	}
	args = append(append(args, query.Flags...), "--")
	run := exec.CommandContext(ctx, "go", append(args, patterns...)...)
	run.Dir = query.Dir
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	failed := run.Run()
	var exit *exec.ExitError
	if failed != nil && !errors.As(failed, &exit) {
		return nil, "", fmt.Errorf("run go vet: %w", failed)
	}
	// Up to Go 1.25 the findings are on standard error, among other lines.
	output, rest, err := vetoutput.Read(append(stdout.Bytes(), stderr.Bytes()...))
	if err != nil {
		return nil, "", err
	}
	findings, failures := output.Findings()
	if failed != nil || len(failures) > 0 {
		incomplete = strings.Join(append(rest, failures...), "\n")
	}
	findings = slices.DeleteFunc(findings, func(f vetoutput.Finding) bool { return !tree.Has(f.ImportPath()) })
	for i := range findings {
		findings[i].MapFiles(tree.Overlay.Logical)
	}
	return findings, incomplete, nil
}

// newerGo returns the version of the go command if its packages are too new for
// the type checker in this program.
func newerGo(ctx context.Context) (string, bool) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	newer := strings.TrimSpace(string(out))
	return newer, err == nil && tooNew(newer, runtime.Version())
}

// tooNew reports whether a program that was built with one Go release cannot read
// the packages of another.
func tooNew(goVersion, built string) bool {
	return version.IsValid(goVersion) && version.IsValid(built) && version.Compare(version.Lang(goVersion), version.Lang(built)) > 0
}

// asVetTool reports whether go vet calls this program as its tool: for its
// version, its flags, or with a package's configuration.
func asVetTool(args []string) bool {
	return len(args) > 0 && (args[0] == "-V=full" || args[0] == "-flags" || strings.HasSuffix(args[len(args)-1], ".cfg"))
}

// vetTool handles go vet's request, and exits.
func vetTool() { unitchecker.Main(lint.Analyzers(lint.Nolint)...) }
