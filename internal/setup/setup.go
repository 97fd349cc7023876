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
	Root      string // its directory
	Workspace string // the go.work file that applies to it, or ""
	Vendored  bool   // whether it has a vendor directory
	// Notes are sentences about what the user has to do or to know, after Prepare.
	Notes []string

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
			return nil, noModule(dir)
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
	m.Vendored = exists(filepath.Join(root, "vendor", "modules.txt"))
	m.Workspace, err = workspace(root)
	return m, err
}

// workspace returns the go.work file that the go command uses in a directory, ""
// without one.
func workspace(dir string) (string, error) {
	cmd := exec.Command("go", "env", "GOWORK")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env GOWORK: %w", err)
	}
	if file := strings.TrimSpace(string(out)); file != "off" {
		return file, nil
	}
	return "", nil
}

// noModule is the error for a directory that is in no module. At the root of a
// workspace it names the modules.
func noModule(dir string) error {
	file, err := workspace(dir)
	if err != nil || file == "" {
		return fmt.Errorf("%s: no go.mod in it or above it: run go mod init first", dir)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	work, err := modfile.ParseWork(file, data, nil)
	if err != nil {
		return err
	}
	var modules []string
	for _, use := range work.Use {
		modules = append(modules, use.Path)
	}
	return fmt.Errorf("%s: no module, but part of the workspace %s: run init for one of its modules: %s", dir, file, strings.Join(modules, ", "))
}

// Prepare does all steps. With an error it returns those that were done.
func (m *Module) Prepare(ctx context.Context) ([]Step, error) {
	var done []Step
	for _, step := range []func(context.Context) ([]Step, error){
		m.dropCheckout, m.requireRuntime, m.addTool, m.addGenerate, m.addAttributes, m.addWorkflow,
	} {
		steps, err := step(ctx)
		done = append(done, steps...)
		if err != nil {
			return done, err
		}
	}
	m.note()
	return done, nil
}

// note collects the notes.
func (m *Module) note() {
	if m.Vendored {
		m.Notes = append(m.Notes, "The module is vendored: run go mod vendor now. After the first go generate, run it again if a build misses a package of the runtime.")
	}
	local := m.localFiles()
	switch {
	case len(local) == 0:
	case m.opts.Checkout != "":
		m.Notes = append(m.Notes, fmt.Sprintf("This is a trial on this machine: do not commit the replace lines in %s.", strings.Join(local, " and ")),
			"To use a published version instead: meminspect init --version latest. No workflow was added: it would fail elsewhere.")
	default:
		m.Notes = append(m.Notes, fmt.Sprintf("The runtime or the tool is replaced by a directory of this machine, in %s. To use a published version instead: meminspect init --version latest",
			strings.Join(local, " and ")))
	}
}

// localFiles returns the mod files that replace the runtime or the tool by a
// directory with an absolute path.
func (m *Module) localFiles() []string {
	var list []string
	for _, name := range []string{"go.mod", ToolsFile} {
		if file, err := m.read(name); err == nil && len(replaced(file)) > 0 {
			list = append(list, name)
		}
	}
	return list
}

// replaced returns the paths of the runtime and the tool that a mod file replaces
// by a directory with an absolute path.
func replaced(file *modfile.File) []string {
	var list []string
	for _, r := range file.Replace {
		if (r.Old.Path == runtime || r.Old.Path == project) && r.New.Version == "" && filepath.IsAbs(r.New.Path) {
			list = append(list, r.Old.Path)
		}
	}
	return list
}

// dropCheckout removes what a checkout left in the mod files, if the options ask
// for a published version. With an error it restores the files.
func (m *Module) dropCheckout(ctx context.Context) (steps []Step, err error) {
	if m.opts.Version == "" {
		return nil, nil
	}
	before := map[string][]byte{}
	defer func() {
		if err != nil {
			for path, data := range before {
				err = errors.Join(err, os.WriteFile(path, data, 0o644))
			}
		}
	}()
	for _, name := range m.localFiles() {
		file, err := m.read(name)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(m.Root, name)
		if before[path], err = os.ReadFile(path); err != nil {
			return nil, err
		}
		args := []string{"mod", "edit"}
		for _, old := range replaced(file) {
			args = append(args, "-dropreplace="+old, "-droprequire="+old)
		}
		if err := m.goCommand(ctx, append(args, name)...); err != nil {
			return nil, err
		}
		get := []string{runtime}
		if hasTool(file) {
			get = []string{"-tool", "-modfile=" + name, tool}
		}
		if err := m.get(ctx, get...); err != nil {
			return nil, err
		}
		steps = append(steps, Step{File: name, What: "no longer has the directory of a checkout", Changed: true})
	}
	if len(steps) > 0 {
		m.file, err = m.read("go.mod")
	}
	return steps, err
}

// Tool returns how to run the tool in the module's root, without its arguments.
// -modfile does not work in a workspace, and go tool takes no -mod, which a vendor
// directory needs.
func (m *Module) Tool() string {
	switch {
	case hasTool(m.file):
		return "go tool meminspect"
	case m.Workspace != "":
		return "go run " + workspaceFile
	case m.Vendored:
		return "go run -mod=readonly -modfile=" + ToolsFile + " " + tool
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
	var existing *modfile.File
	if exists(path) {
		file, err := m.read(ToolsFile)
		if err != nil {
			return nil, err
		}
		if hasTool(file) {
			return []Step{step}, nil
		}
		existing = file
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
	if existing != nil {
		now, err := m.read(ToolsFile)
		if err != nil {
			return nil, err
		}
		if list := raised(existing, now); len(list) > 0 {
			step.What += ", which changed " + strings.Join(list, ", ")
		}
	}
	step.Changed = true
	return []Step{step}, nil
}

// raised describes the changed versions of a mod file: the go line, the toolchain and
// the requirements that it had before.
func raised(before, after *modfile.File) []string {
	var list []string
	if before.Go != nil && after.Go != nil && before.Go.Version != after.Go.Version {
		list = append(list, fmt.Sprintf("go %s to %s", before.Go.Version, after.Go.Version))
	}
	now := map[string]string{}
	for _, r := range after.Require {
		now[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range before.Require {
		if version := now[r.Mod.Path]; version != "" && version != r.Mod.Version {
			list = append(list, fmt.Sprintf("%s %s to %s", r.Mod.Path, r.Mod.Version, version))
		}
	}
	return list
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
	if m.Vendored { // the vendor directory does not have the tool
		cmd.Env = append(cmd.Env, "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod")
	}
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
