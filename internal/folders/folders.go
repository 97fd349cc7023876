// Package folders finds the package folders that a build-time command works on.
// All commands use it, so they agree on modules, workspaces, package patterns,
// folders that patterns pass over, ignore lines of go.mod, and overlays.
//
//	tree, err := folders.Locate(ctx, folders.Query{Dir: dir, Patterns: []string{"./..."}})
//	list, err := tree.Scan()
//
// [Locate] runs the go command once for the main modules. [Tree.Scan] reads
// folders and the bytes of .go files. Nothing is built and no package is loaded,
// so the result depends neither on build tags, GOOS and the C compiler nor on
// whether the tree compiles.
package folders

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Query names packages as for the go command.
type Query struct {
	Dir      string   // absolute; patterns are relative to it
	Env      []string // of the go command; nil means that of this process
	Flags    []string // -modfile, -overlay and the like, for the go command
	Patterns []string // none means "."
}

// A Tree is what a query leads to.
type Tree struct {
	Modules []*Module // main modules, the longest folder first
	Overlay *Overlay
	roots   []root

	once    sync.Once // for the result of Scan
	folders []*Folder
	err     error
}

// Locate finds the main modules and the folders that the patterns name. The
// error wraps [ErrNoModule] if the folder is in no module and no workspace.
func Locate(ctx context.Context, q Query) (*Tree, error) {
	t := &Tree{}
	var overlayErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		flags := q.Flags
		if flagValue(flags, "overlay") == "" {
			if flags, overlayErr = configuredFlags(ctx, &q); overlayErr != nil {
				return
			}
		}
		t.Overlay, overlayErr = ReadOverlay(q.Dir, flags)
	}()
	var err error
	t.Modules, err = listModules(ctx, &q)
	<-done
	if err := errors.Join(err, overlayErr); err != nil {
		return nil, err
	}
	t.roots, err = expand(&q, t.Modules)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Has reports whether the patterns match a package of a main module.
func (t *Tree) Has(importPath string) bool {
	for _, m := range t.Modules {
		rel, ok := strings.CutPrefix(importPath+"/", m.Path+"/")
		if !ok {
			continue
		}
		dir := filepath.Join(m.Dir, filepath.FromSlash(rel))
		for _, r := range t.roots {
			if (dir == r.dir || r.recursive && within(r.dir, dir)) && (r.match == nil || r.match(dir, importPath)) {
				return true
			}
		}
	}
	return false
}

// Below returns a function that reports whether "./..." in dir matches a folder:
// it is dir or below it, no folder on the way is passed over by its name or an
// ignore line, and none is the top of a module that is not a main module. The
// folder need not exist.
func (t *Tree) Below(dir string) func(folder string) bool {
	base := dir
	if named, _, err := place(t.Modules, dir); err == nil {
		base = named
	}
	return func(folder string) bool {
		rel, err := filepath.Rel(dir, folder)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return false
		}
		for at := filepath.Join(base, rel); at != base; at = filepath.Dir(at) {
			if PassedOver(filepath.Base(at)) || t.foreign(at) {
				return false
			}
		}
		return true
	}
}

// foreign reports whether a folder is the top of a module that is not a main
// module, or is ignored by the one that it is in.
func (t *Tree) foreign(dir string) bool {
	if slices.ContainsFunc(t.Modules, func(m *Module) bool { return m.Dir == dir }) {
		return false
	}
	if len(t.Modules) > 0 && isFile(filepath.Join(dir, "go.mod")) {
		return true
	}
	for _, m := range t.Modules { // the longest folder first
		if within(m.Dir, dir) {
			rel, err := filepath.Rel(m.Dir, dir)
			return err == nil && m.ignores(rel)
		}
	}
	return false
}
