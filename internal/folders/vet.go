package folders

import (
	"path/filepath"
	"slices"
)

// maxPatterns bounds the bytes of package patterns in a command line. The
// shortest limit of a system is 32 KiB, for the whole line.
const maxPatterns = 16 << 10

// VetPatterns returns patterns that make go vet check the packages in which it
// may have findings about annotations and registrations: those that mention the
// tool and, if there may be findings about a whole program, the programs. Without
// any, the result is empty. The go command may match more packages than the tree
// has: see [Tree.Has].
func (t *Tree) VetPatterns() ([]string, error) {
	list, err := t.Scan()
	if err != nil {
		return nil, err
	}
	programs := t.programsMatter(list)
	var patterns []string
	size := 0
	for _, f := range list {
		if f.mentions || f.main && programs[f.Module] {
			pattern := f.goPattern()
			patterns = append(patterns, pattern)
			size += len(pattern) + 1
		}
	}
	if size > maxPatterns {
		return t.goPatterns(), nil
	}
	return patterns, nil
}

// programsMatter returns the modules for whose programs there may be findings
// that need all packages of a program: an ID that nothing registers, or one that
// two packages have. The packages that decide that may be outside of the tree.
func (t *Tree) programsMatter(list []*Folder) map[*Module]bool {
	matter := map[*Module]bool{}
	for _, m := range t.Modules {
		matter[m] = !t.whole(m)
	}
	type key struct {
		module *Module
		id     string
	}
	owners := map[key]*Folder{}
	for _, f := range list {
		matter[f.Module] = matter[f.Module] || f.declares
		for _, id := range f.ids {
			if owner, ok := owners[key{f.Module, id}]; ok && owner != f {
				matter[f.Module] = true
			}
			owners[key{f.Module, id}] = f
		}
	}
	return matter
}

// whole reports whether the tree has all packages of a module.
func (t *Tree) whole(m *Module) bool {
	return slices.ContainsFunc(t.roots, func(r root) bool {
		return r.recursive && r.match == nil && t.Below(r.dir)(m.Dir)
	})
}

// goPattern returns a pattern that matches the folder. The go command refuses a
// folder without files for the current build by its name, but passes over it in
// a wider pattern.
func (f *Folder) goPattern() string {
	if f.built {
		return f.Dir
	}
	return filepath.Join(f.Dir, "...")
}

// goPatterns returns patterns that match all packages of the tree. The go command
// neither enters nested modules nor accepts "./..." in a folder above the modules
// of a workspace, so each module has a pattern.
func (t *Tree) goPatterns() []string {
	var list []string
	for _, r := range t.roots {
		if !r.recursive {
			list = append(list, r.dir)
			continue
		}
		list = append(list, filepath.Join(r.dir, "..."))
		below := t.Below(r.dir)
		for _, m := range t.Modules {
			if m.Dir != r.dir && below(m.Dir) {
				list = append(list, filepath.Join(m.Dir, "..."))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
