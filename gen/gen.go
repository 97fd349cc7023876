// Package gen generates code from annotations: for each package the ledger
// meminspect.ids, which keeps its IDs, and files with the ID constants and the
// static tables. It needs only syntax: it runs the go command for the modules,
// walks their folders, scans the bytes of the files, and parses the packages that
// have directives. The result depends neither on the machine's system, build tags
// and C compiler nor on whether the packages compile.
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
	Env      []string // of the go command; nil = this process's
	Patterns []string // packages, as the go command takes them; none = "."
	GoFlags  []string // -tags, -modfile, -overlay and the like, for the go command

	Files      []string // instead of Patterns: the .go files of one package
	ImportPath string   // of Files
	OutDir     string   // where to write for Files, "" = their folder

	Check   bool     // write nothing, find what is stale
	Renames []Rename // IDs whose names changed
	Retire  []string // names whose IDs become tombstones
}

// A Rename gives the ID of one name to another. An import path and a dot may
// precede each name.
type Rename struct{ Old, New string }

// A Finding is a problem in the source, a ledger or a generated file.
type Finding struct {
	Pos     token.Position // Line 0 for the whole file
	End     token.Position // of the place, or the zero value
	Package string         // import path
	Code    string
	Message string
	Warning bool // nothing has to be changed
	Fix     *Fix // nil if no edit is certain to be right
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
	Changes  []Change  // made, or to be made in a check
	// Stale has the place of each change in the source, in a check: the
	// annotations that the generated files do not have as they are written.
	Stale []Finding
	// Packages and Annotations count what the run has looked at: packages with
	// annotations, and annotations without findings in their package.
	Packages, Annotations int
}

// Failed reports whether there is a finding that needs a change of the source.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.Warning })
}

// Run generates. It changes nothing in folders with findings. In the others it
// writes first all ledgers, then the generated files, so that no ID is ever in
// use that its ledger does not have. If it returns an error, the result, unless
// it is nil, has what was done before.
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

// A folder is a package folder and where its ledger and generated files go.
type folder struct {
	*folders.Folder
	out string
}

// load finds the folders to work on.
func load(ctx context.Context, cfg *Config) ([]*folder, *folders.Overlay, error) {
	if len(cfg.Files) > 0 {
		overlay, err := folders.ReadOverlay(cfg.Dir, append(slices.Clone(cfg.GoFlags), folders.EnvFlags(cfg.Env)...))
		if err != nil {
			return nil, nil, err
		}
		f, err := filesFolder(cfg, overlay)
		return []*folder{f}, overlay, err
	}
	tree, err := folders.Locate(ctx, folders.Query{Dir: cfg.Dir, Env: cfg.Env, Flags: cfg.GoFlags, Patterns: cfg.Patterns})
	if err != nil {
		return nil, nil, err
	}
	found, err := tree.Scan()
	list := make([]*folder, len(found))
	for i, f := range found {
		list[i] = &folder{f, f.Dir}
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
	// The generated files of the output folder are replaced, whatever was named.
	f.Generated, f.Ledger = nil, true // if there is a ledger, it counts
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
