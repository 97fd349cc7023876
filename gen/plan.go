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
	"github.com/meminspect/meminspect/internal/folders"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A plan describes the changes to one folder.
type plan struct {
	pkg     *pkg
	ids     *ledger.Ledger // as it was, then as it will be
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
func newPlan(o *folders.Overlay, f *folder) *plan {
	p := &plan{pkg: parsePackage(o, f), ids: &ledger.Ledger{}}
	p.readLedger(o)
	if p.pkg.broken() {
		return p // unparsed annotations would look lost
	}
	p.collectNames()
	p.compare(o)
	return p
}

// ledgerPath returns the path that the ledger is written to.
func (p *plan) ledgerPath() string { return filepath.Join(p.pkg.folder.out, ledger.FileName) }

// readLedger reads the ledger of the output folder, else that of the source
// folder.
func (p *plan) readLedger(o *folders.Overlay) {
	if !p.pkg.folder.Ledger {
		return
	}
	for _, dir := range slices.Compact([]string{p.pkg.folder.out, p.pkg.folder.Dir}) {
		path := filepath.Join(dir, ledger.FileName)
		data, err := o.Read(path, nil)
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

// namespace returns the namespace that the IDs of a unit are hashed with: the
// one frozen in the ledger, else the import path.
func (p *plan) namespace(u unit) string {
	own := p.pkg.folder.ImportPath
	if len(p.ids.Namespaces) > 0 {
		own = p.ids.Namespaces[0]
	}
	if u == externalUnit {
		return own + ledger.TestSuffix
	}
	return own
}

// compare finds new names and lost IDs.
func (p *plan) compare(o *folders.Overlay) {
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

// ledgerLost reports a generated file with IDs in a folder without a ledger.
func (p *plan) ledgerLost(o *folders.Overlay) bool {
	for _, name := range p.pkg.folder.Generated {
		data, err := o.Read(filepath.Join(p.pkg.folder.out, name), nil)
		if err == nil && folders.IsGenerated(data) && bytes.Contains(data, []byte("meminspect.ID = 0x")) {
			p.pkg.find(Finding{Pos: token.Position{Filename: filepath.Join(p.pkg.folder.out, name)}, Code: "ledger", Message: fmt.Sprintf(
				"the file has IDs, but %s is missing: restore it from version control, or delete this file as well to start again", ledger.FileName)})
			return true
		}
	}
	return false
}

// finish issues IDs for new names, rejects lost ones, and builds the files.
func (p *plan) finish(o *folders.Overlay) {
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

// refuseLost reports IDs whose annotations were removed.
func (p *plan) refuseLost() {
	for _, row := range p.lost {
		hint := fmt.Sprintf("use --rename %s=NEWNAME or --retire %s", row.Name, row.Name)
		var same []string
		for _, n := range p.fresh {
			if p.namespace(n.unit) == row.Namespace {
				same = append(same, n.ID())
			}
		}
		if len(same) == 1 {
			hint = fmt.Sprintf("use --rename %s=%s or --retire %s", row.Name, same[0], row.Name)
		}
		p.pkg.find(Finding{Pos: token.Position{Filename: p.ledgerPath(), Line: row.Line}, Code: "lost-id",
			Message: fmt.Sprintf("the annotation of %s was removed, but not its ID (%q): %s", row.Name, row, hint)})
	}
}

// issue gives IDs to new names, and records every type in the ledger.
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
		// A variable that several constrained files declare may have several types.
		slices.Sort(list)
		row.Type = strings.Join(slices.Compact(list), " | ")
	}
}

// ledgerChange records the change of the ledger, if any.
func (p *plan) ledgerChange() {
	if len(p.ids.Rows) == 0 && p.old == nil {
		return
	}
	if text := p.ids.Format(); !bytes.Equal(text, p.old) {
		p.changes = append(p.changes, Change{Path: p.ledgerPath(), Old: p.old, New: text})
	}
}

// refuseForeign reports files that generation would replace but that meminspect
// did not write. It returns whether there are any.
func (p *plan) refuseForeign(o *folders.Overlay, outputs []*outputFile) (found bool) {
	for _, output := range outputs {
		if old, err := p.readOutput(o, output.Name); err == nil && !folders.IsGenerated(old) {
			p.pkg.find(Finding{Pos: token.Position{Filename: p.outputPath(output.Name)}, Code: "foreign",
				Message: "is not generated by meminspect and will not be overwritten: rename it"})
			found = true
		}
	}
	return found
}

func (p *plan) outputPath(name string) string { return filepath.Join(p.pkg.folder.out, name) }

// readOutput reads a file of the output folder. The scan has listed the
// existing files, so a new file costs no system call.
func (p *plan) readOutput(o *folders.Overlay, name string) ([]byte, error) {
	f := p.pkg.folder
	if !slices.Contains(f.Generated, name) && !slices.Contains(f.Names, name) {
		return nil, os.ErrNotExist
	}
	return o.Read(p.outputPath(name), nil)
}

// outputChanges records which generated files to write and which to remove.
func (p *plan) outputChanges(o *folders.Overlay, outputs []*outputFile) {
	wanted := map[string]bool{}
	for _, output := range outputs {
		wanted[output.Name] = true
		path := p.outputPath(output.Name)
		var text bytes.Buffer
		if err := emit(&text, output); err != nil {
			p.pkg.find(Finding{Pos: token.Position{Filename: path}, Code: "emit", Message: err.Error()})
			continue
		}
		old, err := p.readOutput(o, output.Name)
		old = unixLines(old)
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			p.pkg.find(Finding{Pos: token.Position{Filename: path}, Code: "unreadable", Message: err.Error()})
		case err != nil || !bytes.Equal(old, text.Bytes()):
			p.changes = append(p.changes, Change{Path: path, Old: old, New: text.Bytes()})
		}
	}
	for _, name := range p.pkg.folder.Generated {
		if old, err := p.readOutput(o, name); err == nil && !wanted[name] && folders.IsGenerated(old) {
			p.changes = append(p.changes, Change{Path: p.outputPath(name), Old: old})
		}
	}
}

// unixLines removes the carriage returns that git may have added on checkout:
// they are not a change.
func unixLines(data []byte) []byte {
	if !bytes.Contains(data, []byte("\r\n")) {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
}
