// Package gen generates code from annotations. For each package it writes the
// ledger meminspect.ids, which keeps its IDs, and files with the ID constants
// and the static tables. It needs only syntax: it runs the go command to list
// the modules, walks their folders, scans the bytes of the files, and parses
// the packages that have directives. The result does not depend on the
// machine's system, build tags or C compiler, and the packages need not
// compile.
package gen

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/meminspect/meminspect/internal/folders"
)

// A Config selects the packages and what to do with them.
type Config struct {
	Dir      string   // absolute; patterns and messages are relative to it
	Env      []string // of the go command; nil means this process's
	Patterns []string // packages, as the go command takes them; none means "."
	GoFlags  []string // -tags, -modfile, -overlay and similar, for the go command

	// Tree has the packages if the caller has already located them, which only
	// commands of this module can. Env, Patterns and GoFlags are not used then.
	Tree *folders.Tree

	Files      []string // the .go files of one package, instead of Patterns
	ImportPath string   // import path of Files
	OutDir     string   // output folder for Files, "" means their folder

	Check   bool     // write nothing, report stale files
	Renames []Rename // IDs whose names changed
	Retire  []string // names whose IDs become tombstones
}

// A Rename gives the ID of one name to another. An import path and a dot may
// precede each name.
type Rename struct{ Old, New string }

// A Finding is a problem in the source, a ledger or a generated file.
type Finding struct {
	Pos     token.Position // Line 0 for the whole file
	End     token.Position // end of the range, or the zero value
	Package string         // import path
	Code    string
	Message string
	Warning bool // no change is required
	Fix     *Fix // nil if no edit is certain to be correct
}

// A Fix is an edit that resolves a finding.
type Fix struct {
	Message    string
	Start, End int // byte offsets in the finding's file
	New        string
}

// String returns the finding as file:line:col: message (code).
func (f Finding) String() string {
	at := f.Pos.Filename
	if f.Pos.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, f.Pos.Line)
	}
	if f.Pos.Column > 0 {
		at = fmt.Sprintf("%s:%d", at, f.Pos.Column)
	}
	if f.Warning {
		at += ": warning"
	}
	return fmt.Sprintf("%s: %s (%s)", at, f.Message, f.Code)
}

// A Change is a file that is not up to date. Old is nil for a file to create, New
// for one to remove.
type Change struct {
	Path     string
	Old, New []byte
}

// A Result is what a run found and did.
type Result struct {
	Findings []Finding // by folder, in source order
	Changes  []Change  // made, or in a check, needed
	// Stale lists, in a check, the source position of each change: the annotations
	// that the generated files do not contain in their current form.
	Stale []Finding
	// Packages counts the packages with annotations. Annotations counts the
	// annotations of packages without findings.
	Packages, Annotations int
}

// Failed reports whether a finding requires a change of the source.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.Warning })
}

// Run generates. It changes nothing in folders with findings. In the others it
// first writes all ledgers, then the generated files, so that no generated file
// ever uses an ID that its ledger lacks. If it returns an error together with a
// result, the result describes the work done before the error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	list, o, err := load(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	plans := make([]*plan, len(list))
	parallel(len(list), func(i int) {
		if ctx.Err() == nil {
			plans[i] = newPlan(o, list[i])
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := applyWishes(&cfg, plans); err != nil {
		return nil, err
	}
	parallel(len(plans), func(i int) { plans[i].finish(o) })

	result := &Result{}
	for _, p := range plans {
		p.pkg.sortFindings()
		result.Findings = append(result.Findings, p.pkg.findings...)
		if p.pkg.broken() {
			continue
		}
		result.Changes = append(result.Changes, p.changes...)
		if n := p.pkg.annotations(); n > 0 {
			result.Packages++
			result.Annotations += n
		}
	}
	if cfg.Check {
		result.Changes = slices.DeleteFunc(result.Changes, onlyLinesMoved)
		for _, p := range plans {
			result.Stale = append(result.Stale, p.stale()...)
		}
		return result, nil
	}
	parallel(len(list), func(i int) { removeLeftovers(list[i]) })
	result.Changes, err = applyChanges(ctx, o, result.Changes)
	return result, err
}

// A folder is a package folder, with the destination of its ledger and
// generated files.
type folder struct {
	*folders.Folder
	out string
}

// load finds the folders to process.
func load(ctx context.Context, cfg *Config) ([]*folder, *folders.Overlay, error) {
	if len(cfg.Files) > 0 {
		overlay, err := folders.ReadOverlay(cfg.Dir, append(slices.Clone(cfg.GoFlags), folders.EnvFlags(cfg.Env)...))
		if err != nil {
			return nil, nil, err
		}
		f, err := filesFolder(cfg, overlay)
		return []*folder{f}, overlay, err
	}
	tree := cfg.Tree
	if tree == nil {
		var err error
		tree, err = folders.Locate(ctx, folders.Query{Dir: cfg.Dir, Env: cfg.Env, Flags: cfg.GoFlags, Patterns: cfg.Patterns})
		if err != nil {
			return nil, nil, err
		}
	}
	found, err := tree.Scan()
	var list []*folder
	for _, f := range found {
		if f.Annotated() {
			list = append(list, &folder{f, f.Dir})
		}
	}
	return list, tree.Overlay, err
}

// filesFolder returns the folder of an explicit list of files.
func filesFolder(cfg *Config, overlay *folders.Overlay) (*folder, error) {
	if cfg.ImportPath == "" {
		return nil, errors.New("generate for a list of files: the import path is missing: add --importpath")
	}
	dir := ""
	var names []string
	for _, file := range cfg.Files {
		path := absolute(cfg.Dir, file)
		if !strings.HasSuffix(path, ".go") {
			return nil, fmt.Errorf("%s is not a .go file", file)
		}
		if dir == "" {
			dir = filepath.Dir(path)
		}
		if dir != filepath.Dir(path) {
			return nil, fmt.Errorf("%s is not in the folder of %s: name the files of one package", file, cfg.Files[0])
		}
		names = append(names, filepath.Base(path))
	}
	slices.Sort(names)
	scanned, err := folders.ScanFiles(overlay, dir, slices.Compact(names))
	if err != nil {
		return nil, err
	}
	f := &folder{scanned, dir}
	f.ImportPath = cfg.ImportPath
	if cfg.OutDir != "" {
		f.out = absolute(cfg.Dir, cfg.OutDir)
	}
	// The generated files of the output folder are replaced, even if other files
	// are listed.
	f.Generated, f.Ledger = nil, true // use the ledger if there is one
	entries, err := os.ReadDir(f.out)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case folders.IsOutputName(name):
			f.Generated = append(f.Generated, name)
		case strings.HasPrefix(name, folders.TemporaryPrefix):
			f.Leftovers = append(f.Leftovers, name)
		}
	}
	return f, nil
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// parallel calls work for 0 … n-1, on all processors.
func parallel(n int, work func(int)) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := range next {
				work(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}
