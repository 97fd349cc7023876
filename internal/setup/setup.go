// Package setup prepares a module for annotations: the module requires the
// runtime and nothing else, the tool has a separate mod file, and go generate,
// git and CI know what to do.
//
// Each step looks first whether it is done. So a second run changes nothing, and a
// run after an error goes on.
package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// The paths of this project.
const (
	project = "github.com/meminspect/meminspect"
	runtime = project + "/runtime"
	tool    = project + "/cmd/meminspect"
)

// oldest is the oldest Go version that the runtime supports.
const oldest = "1.24"

// ToolsFile is the name of the mod file that has the tool, so that the module's
// own go.mod keeps its go line and its other requirements.
const ToolsFile = "tools.mod"

// Options control how a module is prepared.
type Options struct {
	Dir      string // in the module
	Version  string // of the runtime and the tool, as for go get; "" means latest
	Checkout string // directory of a checkout to use instead of a published version, or ""
	GitHub   bool   // whether to add a workflow even if the repository has none
}

// A Step is what one step of the preparation did.
type Step struct {
	File    string // relative to the module's root
	What    string // what it has now
	Changed bool   // false if it had that before
}

// A Module is a module while it is prepared.
type Module struct {
	Root string // its directory
	opts Options
	file *modfile.File // its go.mod
}

// Find returns the module that opts.Dir is in. It is an error if the runtime does
// not support the Go version of the module.
func Find(opts Options) (*Module, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	root := dir
	for !exists(filepath.Join(root, "go.mod")) {
		parent := filepath.Dir(root)
		if parent == root {
			return nil, fmt.Errorf("%s: no go.mod in it or above it: run go mod init first", dir)
		}
		root = parent
	}
	m := &Module{Root: root, opts: opts}
	if opts.Checkout != "" {
		if m.opts.Checkout, err = filepath.Abs(opts.Checkout); err != nil {
			return nil, err
		}
		if path := modulePath(m.opts.Checkout); path != project {
			return nil, fmt.Errorf("%s: its go.mod is not that of %s", opts.Checkout, project)
		}
	}
	if m.file, err = m.read("go.mod"); err != nil {
		return nil, err
	}
	if v := m.goVersion(); semver.Compare("v"+v, "v"+oldest) < 0 {
		return nil, fmt.Errorf("%s: the module has go %s, and the runtime needs go %s: raise it with go get go@%s",
			filepath.Join(root, "go.mod"), v, oldest, oldest)
	}
	if path := m.file.Module.Mod.Path; path == project || path == runtime {
		return nil, fmt.Errorf("%s: this is the project itself", filepath.Join(root, "go.mod"))
	}
	return m, nil
}

// Prepare does all steps. With an error it returns those that were done.
func (m *Module) Prepare(ctx context.Context) ([]Step, error) {
	var done []Step
	for _, step := range []func(context.Context) ([]Step, error){m.requireRuntime, m.addTool, m.addGenerate, m.addAttributes, m.addWorkflow} {
		steps, err := step(ctx)
		done = append(done, steps...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Tool returns how to run the tool in the module, without its arguments.
func (m *Module) Tool() string {
	if hasTool(m.file) {
		return "go tool meminspect"
	}
	return "go tool -modfile=" + ToolsFile + " meminspect"
}

// goVersion is the module's go line.
func (m *Module) goVersion() string {
	if m.file.Go == nil {
		return "1.16" // what the go command assumes
	}
	return m.file.Go.Version
}

// requireRuntime lets the module require the runtime.
func (m *Module) requireRuntime(ctx context.Context) ([]Step, error) {
	step := Step{File: "go.mod", What: "requires " + runtime}
	if requires(m.file, runtime) {
		return []Step{step}, nil
	}
	var err error
	if m.opts.Checkout != "" {
		err = m.useCheckout(ctx, "go.mod")
	} else {
		err = m.get(ctx, runtime)
	}
	if err != nil {
		return nil, err
	}
	before := m.goVersion()
	if m.file, err = m.read("go.mod"); err != nil {
		return nil, err
	}
	if now := m.goVersion(); now != before {
		step.What += fmt.Sprintf(", and go %s instead of %s", now, before)
	}
	step.Changed = true
	return []Step{step}, nil
}

// addTool adds the tool to the mod file of tools, unless go.mod has it.
func (m *Module) addTool(ctx context.Context) ([]Step, error) {
	if hasTool(m.file) {
		return []Step{{File: "go.mod", What: "has the tool " + tool}}, nil
	}
	step := Step{File: ToolsFile, What: "has the tool " + tool}
	path := filepath.Join(m.Root, ToolsFile)
	if exists(path) {
		file, err := m.read(ToolsFile)
		if err != nil {
			return nil, err
		}
		if hasTool(file) {
			return []Step{step}, nil
		}
	} else if err := m.copyModFile(); err != nil {
		return nil, err
	}
	var err error
	if m.opts.Checkout != "" {
		err = m.useCheckout(ctx, ToolsFile)
	} else {
		err = m.get(ctx, "-tool", "-modfile="+ToolsFile, tool)
	}
	if err != nil {
		return nil, err
	}
	step.Changed = true
	return []Step{step}, nil
}

// copyModFile makes the mod file of tools, which begins with what the module
// requires: the tool reads the module's packages.
func (m *Module) copyModFile() error {
	for from, to := range map[string]string{"go.mod": ToolsFile, "go.sum": strings.TrimSuffix(ToolsFile, ".mod") + ".sum"} {
		data, err := os.ReadFile(filepath.Join(m.Root, from))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(m.Root, to), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// get adds a package's module to a mod file by go get, whose last argument is the
// package.
func (m *Module) get(ctx context.Context, args ...string) error {
	if m.opts.Version != "" {
		args[len(args)-1] += "@" + m.opts.Version
	}
	return m.goCommand(ctx, append([]string{"get"}, args...)...)
}

// useCheckout lets a mod file require the runtime, and the tool if it is that of
// tools, from the checkout. No version is published: go get would ask for it.
func (m *Module) useCheckout(ctx context.Context, file string) error {
	args := []string{"mod", "edit", "-require=" + runtime + "@v0.0.0", "-replace=" + runtime + "=" + filepath.Join(m.opts.Checkout, "runtime")}
	if file != ToolsFile {
		return m.goCommand(ctx, append(args, file)...)
	}
	args = append(args, "-require="+project+"@v0.0.0", "-replace="+project+"="+m.opts.Checkout, "-tool="+tool)
	if err := m.goCommand(ctx, append(args, file)...); err != nil {
		return err
	}
	// It adds what the tool requires.
	return m.goCommand(ctx, "list", "-mod=mod", "-modfile="+ToolsFile, "-deps", tool)
}

// goCommand runs the go command in the module's root. A workspace does not count:
// it is the module's own files that change.
func (m *Module) goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = m.Root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (m *Module) read(name string) (*modfile.File, error) {
	path := filepath.Join(m.Root, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(path, data, nil)
}

// modulePath returns the path of the module in a directory, "" without a go.mod.
func modulePath(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return ""
	}
	return modfile.ModulePath(data)
}

func requires(file *modfile.File, path string) bool {
	for _, r := range file.Require {
		if r.Mod.Path == path {
			return true
		}
	}
	return false
}

func hasTool(file *modfile.File) bool {
	for _, t := range file.Tool {
		if t.Path == tool {
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
