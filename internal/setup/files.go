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
	if file != "" {
		return []Step{{File: file, What: "has the go:generate line"}}, nil
	}
	name, err := m.packageName()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("//go:build generate\n\n//go:generate %s generate ./...\n\npackage %s\n", m.Tool(), name)
	if err := os.WriteFile(filepath.Join(m.Root, generateFile), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return []Step{{File: generateFile, What: "has the go:generate line", Changed: true}}, nil
}

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
			if bytes.HasPrefix(line, []byte("//go:generate ")) && bytes.Contains(line, []byte("meminspect generate")) {
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
	path := filepath.Join(top, ".github", "workflows", "meminspect.yml")
	name, err := filepath.Rel(m.Root, path)
	if err != nil {
		return nil, err
	}
	step := Step{File: filepath.ToSlash(name), What: "checks generated files and annotations"}
	if exists(path) {
		return []Step{step}, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(m.workflow(filepath.ToSlash(dir))), 0o644); err != nil {
		return nil, err
	}
	step.Changed = true
	return []Step{step}, nil
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

// workflow is a workflow for the module in a directory of the repository.
func (m *Module) workflow(dir string) string {
	return fmt.Sprintf(`name: meminspect
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
`, dir, actionCheckout, actionSetupGo, m.Tool())
}
