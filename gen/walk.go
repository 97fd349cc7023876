package gen

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A folder is one that has something for us.
type folder struct {
	dir        string
	importPath string
	module     *module
	names      []string        // its .go files
	hits       map[string]bool // those that may have directives
	generated  []string        // files that we generated
	ledger     bool
	out        string // where to write
}

// A walker walks folders and scans their files, several at a time.
type walker struct {
	modules []*module
	overlay *overlay
	slots   chan struct{} // one for each folder that is worked on
	buffers sync.Pool
	wait    sync.WaitGroup

	mu      sync.Mutex
	seen    map[string]bool
	matched map[string]bool // patterns that matched a folder with .go files
	folders []*folder
	errs    []error
}

// walk scans the folders of the roots. Folders with neither a hit nor a file
// of ours are not in the result, which is sorted.
func walk(modules []*module, o *overlay, roots []root) ([]*folder, []error) {
	w := &walker{
		modules: modules, overlay: o,
		slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		seen:  map[string]bool{}, matched: map[string]bool{},
	}
	for _, r := range roots {
		w.wait.Add(1)
		go w.visit(r, r.dir, r.module)
		for dir := range o.byDir {
			// Folders that exist in the overlay alone.
			if r.recursive && within(r.dir, dir) && !isDir(dir) && !hiddenBelow(r.dir, dir) {
				w.wait.Add(1)
				go w.scan(r, dir, r.module, o.names(dir, nil))
			}
		}
	}
	w.wait.Wait()
	for _, r := range roots {
		if !w.matched[r.pattern] {
			w.errs = append(w.errs, fmt.Errorf("%s: no Go files", r.pattern))
			w.matched[r.pattern] = true
		}
	}
	slices.SortFunc(w.folders, func(a, b *folder) int { return strings.Compare(a.dir, b.dir) })
	return w.folders, w.errs
}

// hiddenBelow tells whether patterns pass over a folder below root.
func hiddenBelow(root, dir string) bool {
	for ; dir != root && len(dir) > len(root); dir = filepath.Dir(dir) {
		if hidden(filepath.Base(dir)) {
			return true
		}
	}
	return false
}

// hidden tells whether patterns pass over a folder of this name.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor"
}

// visit looks at one folder, and starts a visit of each below it.
func (w *walker) visit(r root, dir string, m *module) {
	w.slots <- struct{}{}
	entries, err := os.ReadDir(dir)
	<-w.slots
	if err != nil {
		w.fail(err)
		w.wait.Done()
		return
	}
	var names []string
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
		case mode.IsDir() && r.recursive && !hidden(name):
			w.descend(r, filepath.Join(dir, name), m)
		case mode.IsRegular() && (strings.HasSuffix(name, ".go") || name == ledger.FileName):
			names = append(names, name)
		}
	}
	names = w.overlay.names(dir, names)
	w.scan(r, dir, m, names)
}

// descend starts the visit of a folder below m's, unless it belongs to a
// module that is not ours.
func (w *walker) descend(r root, dir string, m *module) {
	if isFile(filepath.Join(dir, "go.mod")) {
		i := slices.IndexFunc(w.modules, func(m *module) bool { return m.Dir == dir })
		if i < 0 {
			return
		}
		m = w.modules[i]
	} else if rel, err := filepath.Rel(m.Dir, dir); err == nil && m.ignores(rel) {
		return
	}
	w.wait.Add(1)
	go w.visit(r, dir, m)
}

// scan scans the files of a folder. It ends one visit.
func (w *walker) scan(r root, dir string, m *module, names []string) {
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
	f, err := scanFolder(w.overlay, &w.buffers, dir, names)
	if err != nil {
		w.fail(err)
	}
	if f == nil {
		return
	}
	f.importPath, f.module = importPath, m
	w.mu.Lock()
	w.folders = append(w.folders, f)
	w.mu.Unlock()
}

// scanFolder finds what is ours in the files of a folder; nil if nothing is.
func scanFolder(o *overlay, buffers *sync.Pool, dir string, names []string) (*folder, error) {
	f := &folder{dir: dir, hits: map[string]bool{}}
	buffer, _ := buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer buffers.Put(buffer)
	for _, name := range names {
		if name == ledger.FileName {
			f.ledger = true
			continue
		}
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			continue // the go command passes over them
		}
		data, err := o.read(filepath.Join(dir, name), *buffer)
		if err != nil {
			return nil, err
		}
		if cap(data) <= 1<<20 {
			*buffer = data // the next file reuses it; giants are let go
		}
		if isOutputName(name) && isOurs(data) {
			f.generated = append(f.generated, name)
			continue
		}
		f.names = append(f.names, name)
		if annotate.Hit(data) {
			f.hits[name] = true
		}
	}
	if len(f.hits) == 0 && len(f.generated) == 0 && !f.ledger {
		return nil, nil
	}
	return f, nil
}

func (w *walker) fail(err error) {
	w.mu.Lock()
	w.errs = append(w.errs, err)
	w.mu.Unlock()
}
