package gen

import (
	"bytes"
	"errors"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A plan is what is to become of one folder.
type plan struct {
	pkg     *pkg
	ids     *ledger.Ledger // as it was, and then as it is to be
	old     []byte         // the ledger's bytes, nil if there is none
	lost    []*ledger.Row  // IDs without an annotation
	fresh   []*named       // annotations without an ID
	names   []*named       // all annotations that have IDs, in source order
	changes []Change
}

// A named is an annotation that has an ID.
type named struct {
	*annotate.Annotation
	file *sourceFile
	unit unit
	row  *ledger.Row
	typ  string
}

// newPlan reads the folder and compares it with its ledger.
func newPlan(cfg *Config, o *overlay, f *folder) *plan {
	p := &plan{pkg: parsePackage(o, f), ids: &ledger.Ledger{}}
	if f.out == "" {
		f.out = f.dir
	}
	p.readLedger(o)
	if p.pkg.broken() {
		return p // what could not be understood would look lost
	}
	p.collectNames()
	p.compare(o)
	return p
}

// ledgerPath is where the ledger is to be.
func (p *plan) ledgerPath() string { return filepath.Join(p.pkg.folder.out, ledger.FileName) }

// readLedger reads the ledger of the output folder, else that beside the source.
func (p *plan) readLedger(o *overlay) {
	for _, dir := range []string{p.pkg.folder.out, p.pkg.folder.dir} {
		path := filepath.Join(dir, ledger.FileName)
		data, err := o.read(path, nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			p.pkg.find(Finding{Pos: token.Position{Filename: path}, Code: "unreadable", Message: err.Error()})
			return
		}
		if dir == p.pkg.folder.out {
			p.old = unixLines(data)
		}
		ids, err := ledger.Parse(data)
		if err == nil {
			p.ids = ids
			return
		}
		p.pkg.findings = append(p.pkg.findings, ledgerFindings(path, err)...)
		return
	}
}

// collectNames lists the annotations that have IDs, with their types.
func (p *plan) collectNames() {
	for u := range p.pkg.files {
		var types *typeReader
		for _, file := range p.pkg.files[u] {
			if file.found == nil {
				continue
			}
			for i := range file.found.Annotations {
				a := &file.found.Annotations[i]
				if a.ID() == "" {
					continue
				}
				if types == nil {
					files := slices.Clone(p.pkg.files[u])
					if unit(u) == testUnit {
						files = append(files, p.pkg.files[ownUnit]...)
					}
					types = newTypeReader(files)
				}
				p.names = append(p.names, &named{Annotation: a, file: file, unit: unit(u), typ: types.of(file, a)})
			}
		}
	}
}

// namespace returns what the IDs of a unit are hashed with: what the ledger has
// frozen, else the import path.
func (p *plan) namespace(u unit) string {
	own := p.pkg.folder.importPath
	if len(p.ids.Namespaces) > 0 {
		own = p.ids.Namespaces[0]
	}
	if u == externalUnit {
		return own + ledger.TestSuffix
	}
	return own
}

// compare finds new names and lost IDs.
func (p *plan) compare(o *overlay) {
	if p.old == nil && len(p.ids.Rows) == 0 && len(p.names) > 0 && p.ledgerLost(o) {
		return
	}
	used := map[*ledger.Row]bool{}
	for _, n := range p.names {
		n.row = p.ids.Find(p.namespace(n.unit), n.ID())
		if n.row == nil || n.row.State == ledger.Gone {
			if !slices.ContainsFunc(p.fresh, func(f *named) bool { return f.unit == n.unit && f.ID() == n.ID() }) {
				p.fresh = append(p.fresh, n)
			}
			continue
		}
		used[n.row] = true
	}
	for _, row := range p.ids.Rows {
		if !used[row] && row.State != ledger.Gone {
			p.lost = append(p.lost, row)
		}
	}
}

// ledgerLost reports a generated file with IDs that has no ledger beside it.
func (p *plan) ledgerLost(o *overlay) bool {
	for _, name := range p.pkg.folder.generated {
		data, err := o.read(filepath.Join(p.pkg.folder.out, name), nil)
		if err == nil && isOurs(data) && bytes.Contains(data, []byte("meminspect.ID = 0x")) {
			p.pkg.find(Finding{Pos: token.Position{Filename: filepath.Join(p.pkg.folder.out, name)}, Code: "ledger", Message: fmt.Sprintf(
				"there are IDs but no %s, which keeps them: restore it from version control, or delete this file too to begin anew", ledger.FileName)})
			return true
		}
	}
	return false
}

// finish issues IDs for new names, refuses lost ones, and makes the files.
func (p *plan) finish(o *overlay) {
	if p.pkg.broken() {
		return
	}
	p.refuseLost()
	p.issue()
	if p.pkg.broken() {
		return
	}
	outputs := p.outputs(o)
	if p.pkg.broken() {
		return
	}
	p.ledgerChange()
	p.outputChanges(o, outputs)
}

// refuseLost reports IDs that no annotation has any more.
func (p *plan) refuseLost() {
	for _, row := range p.lost {
		hint := fmt.Sprintf("say what became of it: --rename %s=NEWNAME or --retire %s", row.Name, row.Name)
		var same []string
		for _, n := range p.fresh {
			if p.namespace(n.unit) == row.Namespace {
				same = append(same, n.ID())
			}
		}
		if len(same) == 1 {
			hint = fmt.Sprintf("say what became of it: --rename %s=%s or --retire %s", row.Name, same[0], row.Name)
		}
		p.pkg.find(Finding{Pos: token.Position{Filename: p.ledgerPath(), Line: row.Line}, Code: "lost-id",
			Message: fmt.Sprintf("the ID of %s has no annotation any more (%q): %s", row.Name, row, hint)})
	}
}

// issue gives IDs to new names, and tells the ledger of every type.
func (p *plan) issue() {
	for _, n := range p.fresh {
		state := ledger.Entry
		if n.Kind == annotate.ID {
			state = ledger.Declared
		}
		if len(p.ids.Namespaces) == 0 {
			p.ids.Namespaces = []string{p.namespace(ownUnit)}
		}
		if n.unit == externalUnit && len(p.ids.Namespaces) == 1 {
			p.ids.Namespaces = append(p.ids.Namespaces, p.namespace(externalUnit))
		}
		if _, err := p.ids.Issue(p.namespace(n.unit), n.ID(), state, n.typ); err != nil {
			pos, _ := n.Arg("name")
			p.pkg.find(Finding{Pos: p.pkg.fset.Position(pos), Code: "taken-id", Message: err.Error()})
		}
	}
	types := map[*ledger.Row][]string{}
	for _, n := range p.names {
		n.row = p.ids.Find(p.namespace(n.unit), n.ID())
		if n.row == nil || n.row.State == ledger.Gone {
			continue
		}
		n.row.State = ledger.Entry
		if n.Kind == annotate.ID {
			n.row.State = ledger.Declared
		}
		types[n.row] = append(types[n.row], n.typ)
	}
	for row, list := range types {
		// A variable of several constrained files may have several types.
		slices.Sort(list)
		row.Type = strings.Join(slices.Compact(list), " | ")
	}
}

// ledgerChange notes what must become of the ledger.
func (p *plan) ledgerChange() {
	if len(p.ids.Rows) == 0 && p.old == nil {
		return
	}
	if text := p.ids.Format(); !bytes.Equal(text, p.old) {
		p.changes = append(p.changes, Change{Path: p.ledgerPath(), Old: p.old, New: text})
	}
}

// refuseForeign reports files that others wrote and that would be replaced, and
// tells whether there are any.
func (p *plan) refuseForeign(o *overlay, outputs []*outputFile) (found bool) {
	for _, output := range outputs {
		path := filepath.Join(p.pkg.folder.out, output.Name)
		if old, err := o.read(path, nil); err == nil && !isOurs(old) {
			p.pkg.find(Finding{Pos: token.Position{Filename: path}, Code: "foreign",
				Message: "is not generated by meminspect and will not be overwritten: rename it"})
			found = true
		}
	}
	return found
}

// outputChanges notes which generated files must be written, and which go.
func (p *plan) outputChanges(o *overlay, outputs []*outputFile) {
	dir := p.pkg.folder.out
	wanted := map[string]bool{}
	for _, output := range outputs {
		wanted[output.Name] = true
		path := filepath.Join(dir, output.Name)
		var text bytes.Buffer
		if err := emit(&text, output); err != nil {
			p.pkg.find(Finding{Pos: token.Position{Filename: path}, Code: "emit", Message: err.Error()})
			continue
		}
		old, err := o.read(path, nil)
		old = unixLines(old)
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			p.pkg.find(Finding{Pos: token.Position{Filename: path}, Code: "unreadable", Message: err.Error()})
		case err != nil || !bytes.Equal(old, text.Bytes()):
			p.changes = append(p.changes, Change{Path: path, Old: old, New: text.Bytes()})
		}
	}
	for _, name := range p.pkg.folder.generated {
		path := filepath.Join(dir, name)
		if old, err := o.read(path, nil); err == nil && !wanted[name] && isOurs(old) {
			p.changes = append(p.changes, Change{Path: path, Old: old})
		}
	}
}

// isOutputName tells whether a file is called like those that we generate.
func isOutputName(name string) bool {
	base, ok := strings.CutSuffix(name, ".go")
	base = strings.TrimSuffix(base, "_test")
	base = strings.TrimSuffix(base, "_x")
	return ok && (base == "meminspect_gen" || strings.HasPrefix(base, "meminspect_") && strings.HasSuffix(base, "_gen"))
}

// isOurs tells whether a file is generated by us.
func isOurs(data []byte) bool {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	return string(bytes.TrimSuffix(first, []byte("\r"))) == banner
}

// unixLines takes out what git may have put at the ends of lines when it checked
// a file out: that is no change.
func unixLines(data []byte) []byte {
	if !bytes.Contains(data, []byte("\r\n")) {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
}

// ledgersFirst orders writes.
func ledgersFirst(path string) int {
	if filepath.Base(path) == ledger.FileName {
		return 0
	}
	return 1
}
