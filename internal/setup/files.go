package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// generateFile is the file that gets the go:generate line.
const generateFile = "generate_meminspect.go"

// addGenerate adds a line for go generate, unless a file of the module has one.
func (m *Module) addGenerate(context.Context) ([]Step, error) {
	file, err := m.generates()
	if err != nil {
		return nil, err
	}
	var steps []Step
	if m.Workspace != "" && !hasTool(m.file) {
		step := Step{File: workspaceFile, What: "runs the tool of " + ToolsFile + ", also in the workspace", Changed: !exists(filepath.Join(m.Root, workspaceFile))}
		if step.Changed {
			if err := os.WriteFile(filepath.Join(m.Root, workspaceFile), []byte(workspaceProgram), 0o644); err != nil {
				return nil, err
			}
		}
		steps = append(steps, step)
	}
	if file != "" {
		return append(steps, Step{File: file, What: "has the go:generate line"}), nil
	}
	name, err := m.packageName()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("//go:build generate\n\n//go:generate %s generate ./...\n\npackage %s\n", m.Tool(), name)
	if m.Vendored {
		// go mod vendor copies only packages that something imports.
		text += fmt.Sprintf("\nimport (\n\t_ %q\n\t_ %q\n)\n", runtime, runtime+"/meminspectimpl")
	}
	if err := os.WriteFile(filepath.Join(m.Root, generateFile), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return append(steps, Step{File: generateFile, What: "has the go:generate line", Changed: true}), nil
}

// workspaceFile is the program that runs the tool of a module in a workspace.
const workspaceFile = "meminspect_tool.go"

// workspaceProgram builds the tool without the workspace, as -modfile demands, and
// runs it with the workspace.
const workspaceProgram = `//go:build ignore

// Meminspect_tool runs the tool meminspect of tools.mod. The go command does not
// accept -modfile in a workspace, so it builds the tool without the workspace.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	dir, err := os.MkdirTemp("", "meminspect")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	name := filepath.Join(dir, "meminspect.exe")
	build := exec.Command("go", "build", "-mod=readonly", "-modfile=tools.mod", "-o", name, "` + tool + `")
	build.Env = append(os.Environ(), "GOWORK=off")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err = build.Run(); err == nil {
		tool := exec.Command(name, os.Args[1:]...)
		tool.Stdin, tool.Stdout, tool.Stderr = os.Stdin, os.Stdout, os.Stderr
		err = tool.Run()
	}
	os.RemoveAll(dir)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`

// generateLine matches how a line for go generate runs the tool.
var generateLine = regexp.MustCompile(`meminspect(_tool\.go)? generate`)

// generates returns a file of the module with a line for go generate that runs the
// tool, "" if no file has one.
func (m *Module) generates() (file string, err error) {
	found := errors.New("found")
	err = filepath.WalkDir(m.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			nested := path != m.Root && exists(filepath.Join(path, "go.mod"))
			if path != m.Root && (name == "vendor" || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) || nested {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || filepath.Ext(name) != ".go" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(data) {
			if bytes.HasPrefix(line, []byte("//go:generate ")) && generateLine.Match(line) {
				file, _ = filepath.Rel(m.Root, path)
				return found
			}
		}
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return filepath.ToSlash(file), err
}

// packageName returns the name of the package in the module's root, or one for a
// package that has only the go:generate line.
func (m *Module) packageName() (string, error) {
	files, err := filepath.Glob(filepath.Join(m.Root, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly); err == nil {
			return parsed.Name.Name, nil
		}
	}
	return "generate", nil
}

// attributes are lines for git: it merges branches that add IDs, and shows
// generated files folded.
var attributes = []string{"meminspect.ids merge=union", "meminspect_gen*.go linguist-generated"}

// addAttributes adds the lines for git that are missing.
func (m *Module) addAttributes(context.Context) ([]Step, error) {
	const name = ".gitattributes"
	path := filepath.Join(m.Root, name)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	present := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			present[fields[0]] = true // whatever the user wants for these files
		}
	}
	text := data
	for _, line := range attributes {
		if pattern, _, _ := strings.Cut(line, " "); !present[pattern] {
			if len(text) > 0 && text[len(text)-1] != '\n' {
				text = append(text, '\n')
			}
			text = append(text, line+"\n"...)
		}
	}
	step := Step{File: name, What: "has lines for the ledger and the generated files"}
	if len(text) == len(data) {
		return []Step{step}, nil
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, err
	}
	step.Changed = true
	return []Step{step}, nil
}

// The versions of actions, pinned.
const (
	actionCheckout = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
	actionSetupGo  = "actions/setup-go@44694675825211faa026b3c33043df3e48a5fa00 # v6.0.0"
)

// addWorkflow adds a workflow that checks the generated files and runs the linter,
// if the repository has workflows.
func (m *Module) addWorkflow(context.Context) ([]Step, error) {
	top := m.repository()
	if top == "" || !m.opts.GitHub && !exists(filepath.Join(top, ".github", "workflows")) {
		return nil, nil
	}
	dir, err := filepath.Rel(top, m.Root)
	if err != nil {
		return nil, err
	}
	dir = filepath.ToSlash(dir)
	path := filepath.Join(top, ".github", "workflows", "meminspect.yml")
	found, err := checks(path, dir)
	if err == nil && !found && exists(path) { // that of another module in the repository
		path = filepath.Join(top, ".github", "workflows", "meminspect-"+strings.NewReplacer("/", "-", ".", "root").Replace(dir)+".yml")
		found, err = checks(path, dir)
	}
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(m.Root, path)
	if err != nil {
		return nil, err
	}
	step := Step{File: filepath.ToSlash(name), What: "checks generated files and annotations"}
	if found {
		return []Step{step}, nil
	}
	if m.opts.Checkout != "" {
		return nil, nil // no other machine has the checkout
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(m.workflow(strings.TrimSuffix(filepath.Base(path), ".yml"), dir)), 0o644); err != nil {
		return nil, err
	}
	step.Changed = true
	return []Step{step}, nil
}

// checks reports whether a workflow exists and is for the module in a directory of
// the repository: a line names the directory.
func checks(path, dir string) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	named := false
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "working-directory:"); ok {
			named = true
			if strings.Trim(strings.TrimSpace(value), `"'./`) == strings.Trim(dir, "./") {
				return true, nil
			}
		}
	}
	return !named && dir == ".", nil
}

// repository returns the root of the git repository that the module is in, "" if
// it is in no repository.
func (m *Module) repository() string {
	for dir := m.Root; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, ".git")) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// workflow returns a workflow for the module in a directory of the repository.
func (m *Module) workflow(name, dir string) string {
	return fmt.Sprintf(`name: %[5]s
on: [push, pull_request]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    defaults:
      run:
        working-directory: %[1]s
    steps:
      - uses: %[2]s
      - uses: %[3]s
        with:
          go-version: stable
      - run: %[4]s generate --check ./...
      - run: %[4]s lint ./...
`, dir, actionCheckout, actionSetupGo, m.Tool(), name)
}
