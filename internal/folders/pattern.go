package folders

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A root is a folder to scan, with all folders below it if recursive.
type root struct {
	module    *Module
	dir       string // absolute
	recursive bool
	match     func(dir, importPath string) bool // nil matches all
	pattern   string                            // the pattern it comes from
}

// expand turns package patterns of the go command into folders: relative and
// absolute folders, import paths of the main modules, each with "...", and the
// word "all" or "work" for everything in the main modules. No pattern means the
// working folder. Below a folder it finds every main module, also a nested one.
func expand(q *Query, modules []*Module) ([]root, error) {
	patterns := q.Patterns
	if len(patterns) == 0 {
		patterns = []string{"."}
	}
	var roots []root
	for _, pattern := range patterns {
		more, err := expandOne(q, modules, pattern)
		if err != nil {
			return nil, err
		}
		roots = append(roots, more...)
	}
	return roots, nil
}

func expandOne(q *Query, modules []*Module, pattern string) ([]root, error) {
	switch {
	case pattern == "all" || pattern == "work":
		var roots []root
		for _, m := range modules {
			roots = append(roots, root{module: m, dir: m.Dir, recursive: true, pattern: pattern})
		}
		return roots, nil
	case strings.HasSuffix(pattern, ".go"):
		return nil, fmt.Errorf("%s is a file: name its folder, or use --files", pattern)
	case filepath.IsAbs(pattern), pattern == ".", pattern == "..", strings.HasPrefix(pattern, "./"), strings.HasPrefix(pattern, "../"),
		filepath.Separator == '\\' && (strings.HasPrefix(pattern, `.\`) || strings.HasPrefix(pattern, `..\`)):
		return folderRoots(q, modules, pattern)
	}
	return importRoots(modules, strings.TrimSuffix(pattern, "/"))
}

// folderRoots expands a pattern of the file system.
func folderRoots(q *Query, modules []*Module, pattern string) ([]root, error) {
	path := filepath.Clean(absolute(q.Dir, pattern))
	base, wild, recursive := strings.Cut(path, "...")
	if !recursive {
		if !isDir(path) {
			return nil, fmt.Errorf("%s: no such folder", pattern)
		}
		dir, m, err := place(modules, path)
		return []root{{module: m, dir: dir, pattern: pattern}}, err
	}
	base = filepath.Clean(base[:strings.LastIndexByte(base, filepath.Separator)+1])
	if !isDir(base) {
		return nil, fmt.Errorf("%s: no such folder", pattern)
	}
	r := root{recursive: true, pattern: pattern}
	top := base // as modules are named
	if dir, m, err := place(modules, base); err == nil {
		r.module, r.dir, top = m, dir, dir
	} else if resolved, linkErr := filepath.EvalSymlinks(base); linkErr == nil && !containsModule(modules, base) && containsModule(modules, resolved) {
		top = resolved
	} else if !containsModule(modules, base) {
		return nil, err
	}
	if wild != "" || !strings.HasSuffix(path, string(filepath.Separator)+"...") {
		match := matcher(filepath.ToSlash(strings.TrimPrefix(path, base)))
		r.match = func(at, _ string) bool { return match(filepath.ToSlash(strings.TrimPrefix(at, top))) }
	}
	if r.module != nil {
		return []root{r}, nil
	}
	// A folder above the modules of a workspace is in no module itself.
	var roots []root
	for _, m := range modules {
		if within(top, m.Dir) {
			r.module, r.dir = m, m.Dir
			roots = append(roots, r)
		}
	}
	return roots, nil
}

func containsModule(modules []*Module, dir string) bool {
	return slices.ContainsFunc(modules, func(m *Module) bool { return within(dir, m.Dir) })
}

// place finds the module of a folder. Names reach the same folder in several
// ways where symbolic links are on the way: the folder is named as its module
// is.
func place(modules []*Module, dir string) (string, *Module, error) {
	m, err := ownerOf(modules, dir)
	if err == nil {
		return dir, m, nil
	}
	resolved, linkErr := filepath.EvalSymlinks(dir)
	if linkErr != nil {
		return "", nil, err
	}
	for _, m := range modules {
		moduleDir, linkErr := filepath.EvalSymlinks(m.Dir)
		if linkErr == nil && within(moduleDir, resolved) {
			named := filepath.Join(m.Dir, strings.TrimPrefix(resolved, moduleDir))
			owner, err := ownerOf(modules, named)
			return named, owner, err
		}
	}
	return "", nil, err
}

// importRoots expands a pattern of import paths.
func importRoots(modules []*Module, pattern string) ([]root, error) {
	base, _, recursive := strings.Cut(pattern, "...")
	if !recursive {
		for _, m := range modules {
			rel, ok := strings.CutPrefix(pattern+"/", m.Path+"/")
			dir := filepath.Join(m.Dir, filepath.FromSlash(rel))
			if !ok || !isDir(dir) {
				continue
			}
			owner, err := ownerOf(modules, dir)
			if err == nil && owner == m {
				return []root{{module: m, dir: dir, pattern: pattern}}, nil
			}
		}
		return nil, fmt.Errorf("%s is no package of the main modules (a folder is written ./%s)", pattern, pattern)
	}
	match := matcher(pattern)
	var roots []root
	for _, m := range modules {
		dir := m.Dir
		if below, ok := strings.CutPrefix(base, m.Path+"/"); ok {
			dir = filepath.Join(dir, filepath.FromSlash(below[:strings.LastIndexByte(below, '/')+1]))
		} else if !strings.HasPrefix(m.Path+"/", base) && !strings.HasPrefix(base, m.Path) {
			continue
		}
		if !isDir(dir) || hiddenBelow(m.Dir, dir) {
			continue
		}
		roots = append(roots, root{module: m, dir: dir, recursive: true, pattern: pattern,
			match: func(_, importPath string) bool { return match(importPath) }})
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("%s matches no package of the main modules (a folder is written ./%s)", pattern, pattern)
	}
	return roots, nil
}

// matcher matches a pattern with "..." as the go command does: any string, and
// a trailing "/..." also nothing.
func matcher(pattern string) func(string) bool {
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\.\.\.`, `.*`)
	if rest, ok := strings.CutSuffix(expr, `/.*`); ok {
		expr = rest + `(/.*)?`
	}
	return regexp.MustCompile(`^` + expr + `$`).MatchString
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
