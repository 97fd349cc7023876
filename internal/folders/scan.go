package folders

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/lazyexp"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A Folder is a package folder that a build-time command may have work in.
type Folder struct {
	Dir        string
	Module     *Module
	ImportPath string
	Names      []string        // its .go files but for the generated ones
	Hits       map[string]bool // those of Names that may have directives
	Generated  []string        // files that "meminspect generate" wrote
	Ledger     bool            // whether there is a ledger
	Leftovers  []string        // temporary files of interrupted runs
	mentions   bool            // whether a file has the tool's name, as directives, generated files and imports of the runtime have
	declares   bool            // whether a file may have an id line
	ids        []string        // the IDs in the generated files, as numbers in Go
	main       bool            // whether a file belongs to package main
	built      bool            // whether every build has a file of the package
}

// idDirective declares an ID that is registered at run time.
var idDirective = []byte(annotate.Prefix + annotate.ID.String())

// generatedID matches an ID constant of a generated file.
var generatedID = lazyexp.New(`\bID = (0x[0-9a-f]+)`)

// Annotated reports whether the folder has annotations, generated files or a
// ledger.
func (f *Folder) Annotated() bool { return len(f.Hits) > 0 || len(f.Generated) > 0 || f.Ledger }

// A walker walks folders and scans their files, several at a time.
type walker struct {
	tree    *Tree
	slots   chan struct{} // one for each folder that is being read
	buffers sync.Pool
	wait    sync.WaitGroup

	mu      sync.Mutex
	seen    map[string]bool
	matched map[string]bool // patterns that matched a folder with .go files
	folders []*Folder
	errs    []error
}

// Scan scans the folders of the tree and returns those that are annotated, mention
// the tool or are programs, sorted by folder. A pattern that matches no folder
// with .go files is an error; the folders of the other patterns are returned with
// it. Only the first call reads files.
func (t *Tree) Scan() ([]*Folder, error) {
	t.once.Do(func() { t.folders, t.err = t.scan() })
	return t.folders, t.err
}

func (t *Tree) scan() ([]*Folder, error) {
	w := &walker{
		tree: t, slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		seen: map[string]bool{}, matched: map[string]bool{},
	}
	for _, r := range t.roots {
		w.wait.Add(1)
		go w.visit(r, r.dir, r.module)
		for dir := range t.Overlay.byDir {
			// Folders that exist in the overlay alone.
			if r.recursive && within(r.dir, dir) && !isDir(dir) && !hiddenBelow(r.dir, dir) {
				w.wait.Add(1)
				go w.scan(r, dir, r.module, t.Overlay.Names(dir, nil), nil)
			}
		}
	}
	w.wait.Wait()
	for _, r := range t.roots {
		if !w.matched[r.pattern] {
			w.errs = append(w.errs, fmt.Errorf("%s: no Go files", r.pattern))
			w.matched[r.pattern] = true
		}
	}
	slices.SortFunc(w.folders, func(a, b *Folder) int { return strings.Compare(a.Dir, b.Dir) })
	return w.folders, errors.Join(w.errs...)
}

// hiddenBelow reports whether patterns pass over a folder below root.
func hiddenBelow(root, dir string) bool {
	for ; dir != root && len(dir) > len(root); dir = filepath.Dir(dir) {
		if PassedOver(filepath.Base(dir)) {
			return true
		}
	}
	return false
}

// PassedOver reports whether package patterns pass over folders of this name.
func PassedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor"
}

// visit looks at one folder, and starts a visit of each below it.
func (w *walker) visit(r root, dir string, m *Module) {
	w.slots <- struct{}{}
	entries, err := os.ReadDir(dir)
	<-w.slots
	if err != nil {
		w.fail(err)
		w.wait.Done()
		return
	}
	var names, leftovers []string
	for _, entry := range entries {
		name := entry.Name()
		mode := entry.Type()
		if mode&os.ModeSymlink != 0 && strings.HasSuffix(name, ".go") {
			// A link to a file is a file; one to a folder is not followed.
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				mode = info.Mode().Type()
			}
		}
		switch {
		case mode.IsDir() && r.recursive && !PassedOver(name):
			w.descend(r, filepath.Join(dir, name), m)
		case mode.IsRegular() && (strings.HasSuffix(name, ".go") || name == ledger.FileName):
			names = append(names, name)
		case mode.IsRegular() && strings.HasPrefix(name, TemporaryPrefix):
			leftovers = append(leftovers, name)
		}
	}
	w.scan(r, dir, m, w.tree.Overlay.Names(dir, names), leftovers)
}

// descend starts the visit of a folder below m's, unless it belongs to a
// module that is not ours.
func (w *walker) descend(r root, dir string, m *Module) {
	if isFile(filepath.Join(dir, "go.mod")) {
		i := slices.IndexFunc(w.tree.Modules, func(m *Module) bool { return m.Dir == dir })
		if i < 0 {
			return
		}
		m = w.tree.Modules[i]
	} else if rel, err := filepath.Rel(m.Dir, dir); err == nil && m.ignores(rel) {
		return
	}
	w.wait.Add(1)
	go w.visit(r, dir, m)
}

// scan scans the files of a folder. It ends one visit.
func (w *walker) scan(r root, dir string, m *Module, names, leftovers []string) {
	defer w.wait.Done()
	importPath := m.importPath(dir)
	if r.match != nil && !r.match(dir, importPath) {
		return
	}
	w.mu.Lock()
	again := w.seen[dir]
	w.seen[dir] = true
	w.matched[r.pattern] = w.matched[r.pattern] || len(names) > 0
	w.mu.Unlock()
	if again {
		return
	}
	w.slots <- struct{}{}
	defer func() { <-w.slots }()
	f, err := scanFiles(w.tree.Overlay, &w.buffers, dir, names)
	if err != nil {
		w.fail(err)
		return
	}
	if !f.Annotated() && !f.mentions && !f.main {
		return
	}
	f.Module, f.ImportPath, f.Leftovers = m, importPath, leftovers
	w.mu.Lock()
	w.folders = append(w.folders, f)
	w.mu.Unlock()
}

// ScanFiles scans the named files of a folder.
func ScanFiles(o *Overlay, dir string, names []string) (*Folder, error) {
	return scanFiles(o, &sync.Pool{}, dir, names)
}

func scanFiles(o *Overlay, buffers *sync.Pool, dir string, names []string) (*Folder, error) {
	f := &Folder{Dir: dir, Hits: map[string]bool{}}
	buffer, _ := buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer buffers.Put(buffer)
	for _, name := range names {
		if name == ledger.FileName {
			f.Ledger = true
			continue
		}
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			continue // the go command passes over them
		}
		data, err := o.Read(filepath.Join(dir, name), *buffer)
		if err != nil {
			return nil, err
		}
		if cap(data) <= 1<<20 {
			*buffer = data // the next file reuses it, unless it is very large
		}
		f.add(name, data)
	}
	return f, nil
}

// add adds what a file has. Only its package clause is parsed.
func (f *Folder) add(name string, data []byte) {
	if IsOutputName(name) && IsGenerated(data) {
		f.Generated, f.mentions = append(f.Generated, name), true
		for _, match := range generatedID().FindAllSubmatch(data, -1) {
			f.ids = append(f.ids, string(match[1]))
		}
		return
	}
	f.Names = append(f.Names, name)
	if annotate.Hit(data) {
		f.Hits[name] = true
	}
	f.mentions = f.mentions || bytes.Contains(data, []byte(annotate.Tool))
	f.declares = f.declares || bytes.Contains(data, idDirective)
	clause := packageClause(data)
	f.main = f.main || clause == "main"
	f.built = f.built || clause != "" && clause != "documentation" && alwaysBuilt(name, data)
}

// packageClause returns the name in the package clause, "" if it is malformed.
func packageClause(data []byte) string {
	syntax, err := parser.ParseFile(token.NewFileSet(), "", data, parser.PackageClauseOnly|parser.SkipObjectResolution)
	if err != nil {
		return ""
	}
	return syntax.Name.Name
}

// alwaysBuilt reports whether no build excludes a file: neither its name, a
// constraint nor cgo restricts it.
func alwaysBuilt(name string, data []byte) bool {
	if strings.Contains(name, "_") {
		return false
	}
	for _, mark := range []string{"//go:build", "+build", `"C"`, "`C`"} {
		if bytes.Contains(data, []byte(mark)) {
			return false
		}
	}
	return true
}

// Banner is the first line of every generated file. It carries no version, so
// that a new tool with the same output makes no diff.
const Banner = "// Code generated by meminspect generate; DO NOT EDIT."

// TemporaryPrefix begins the names of files that are being written.
const TemporaryPrefix = ".meminspect-"

// IsGenerated reports whether data is a file that "meminspect generate" wrote.
func IsGenerated(data []byte) bool {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	return string(bytes.TrimSuffix(first, []byte("\r"))) == Banner
}

// IsOutputName reports whether a file has the name of a generated file.
func IsOutputName(name string) bool {
	base, ok := strings.CutSuffix(name, ".go")
	base = strings.TrimSuffix(base, "_test")
	base = strings.TrimSuffix(base, "_x")
	return ok && (base == "meminspect_gen" || strings.HasPrefix(base, "meminspect_") && strings.HasSuffix(base, "_gen"))
}

func (w *walker) fail(err error) {
	w.mu.Lock()
	w.errs = append(w.errs, err)
	w.mu.Unlock()
}
