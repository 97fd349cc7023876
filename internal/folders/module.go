package folders

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// A Module is a main module: the one of the working folder, or one that go.work
// uses.
type Module struct {
	Path   string
	Dir    string // absolute, as the go command prints it
	Main   bool
	ignore []string // folders that go.mod's ignore lines name, relative to Dir, or */name for any depth
}

// ErrNoModule is wrapped by the error for a folder that is in no module and no
// workspace.
var ErrNoModule = errors.New("no module here")

// listModules asks the go command for the main modules.
func listModules(ctx context.Context, q *Query) ([]*Module, error) {
	args := append([]string{"list", "-m", "-json"}, q.Flags...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = q.Dir, q.Env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(text)
		}
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	var modules []*Module
	for decoder := json.NewDecoder(&stdout); ; {
		m := &Module{}
		if err := decoder.Decode(m); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list -m: %w", err)
		}
		if !m.Main || m.Dir == "" {
			continue // "command-line-arguments" outside of any module
		}
		if err := m.readIgnores(); err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("find packages: %w: run the command in a module, or name files with --files", ErrNoModule)
	}
	// Longest first: a nested module owns its folder.
	slices.SortFunc(modules, func(a, b *Module) int { return len(b.Dir) - len(a.Dir) })
	return modules, nil
}

// readIgnores reads the ignore lines of go.mod, which hide folders from
// patterns (Go 1.25).
func (m *Module) readIgnores() error {
	data, err := os.ReadFile(filepath.Join(m.Dir, "go.mod"))
	if err != nil {
		return nil //nolint:nilerr // a module without go.mod cannot ignore
	}
	file, err := modfile.ParseLax(filepath.Join(m.Dir, "go.mod"), data, nil)
	if err != nil {
		return err
	}
	for _, ignore := range file.Ignore {
		path := ignore.Path
		if rooted, ok := strings.CutPrefix(path, "./"); ok {
			m.ignore = append(m.ignore, filepath.FromSlash(strings.TrimSuffix(rooted, "/")))
		} else {
			m.ignore = append(m.ignore, "*/"+strings.Trim(path, "/"))
		}
	}
	return nil
}

// ignores reports whether go.mod hides the folder rel (relative to the module).
func (m *Module) ignores(rel string) bool {
	slashed := filepath.ToSlash(rel)
	for _, ignore := range m.ignore {
		if anywhere, ok := strings.CutPrefix(ignore, "*/"); ok {
			if slashed == anywhere || strings.HasSuffix(slashed, "/"+anywhere) {
				return true
			}
		} else if rel == ignore {
			return true
		}
	}
	return false
}

// importPath returns the import path of a folder of the module.
func (m *Module) importPath(dir string) string {
	rel, err := filepath.Rel(m.Dir, dir)
	if err != nil || rel == "." {
		return m.Path
	}
	return m.Path + "/" + filepath.ToSlash(rel)
}

// within reports whether dir is root or below it.
func within(root, dir string) bool {
	return dir == root || strings.HasPrefix(dir, strings.TrimSuffix(root, string(filepath.Separator))+string(filepath.Separator))
}

// ownerOf returns the main module that dir belongs to. If there is none, the
// error explains why.
func ownerOf(modules []*Module, dir string) (*Module, error) {
	i := slices.IndexFunc(modules, func(m *Module) bool { return within(m.Dir, dir) })
	for up := dir; i < 0 || up != modules[i].Dir; up = filepath.Dir(up) {
		switch {
		case isFile(filepath.Join(up, "go.mod")):
			return nil, fmt.Errorf("%s belongs to the module in %s, which is not a main module here: run the command there (with GOWORK=off if a go.work does not use it), or add it to go.work", dir, up)
		case i >= 0 && filepath.Base(up) == "vendor":
			return nil, fmt.Errorf("%s is vendored: run the command in the module that it comes from, and vendor again", dir)
		case up == filepath.Dir(up):
			return nil, fmt.Errorf("%s is outside of the main modules", dir)
		}
	}
	return modules[i], nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
