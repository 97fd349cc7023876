package linker

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/lazyexp"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A Code is a kind of finding. It does not change between versions.
type Code string

// The findings of Check.
const (
	// Collision: two names have the same ID.
	Collision Code = "collision"
	// SameID: two packages have an entry with the same ID: a copy, or a fork
	// that kept the namespace.
	SameID Code = "same-id"
	// TwoVersions: two major versions of one module, both with annotations, are in
	// the program.
	TwoVersions Code = "two-versions"
	// NeverRegistered: an ID is declared, but the program does not contain it.
	NeverRegistered Code = "never-registered"
	// UnknownVersion: a table has a layout that this tool does not know.
	UnknownVersion Code = "unknown-version"
	// Unreadable: data that begins like a table but cannot be read.
	Unreadable Code = "unreadable"
	// Disagrees: a ledger and the program contradict each other.
	Disagrees Code = "ledger"
	// ReadOnly: a variable that is read-only, or is in no segment.
	ReadOnly Code = "read-only"
	// Forbidden: a variable is annotated, and a list forbids it.
	Forbidden Code = "forbidden"
	// KeptAlive: a variable is in the program only because of its annotation.
	KeptAlive Code = "kept-alive"
)

// A Finding is a mistake in a program.
type Finding struct {
	Code    Code   `json:"code"`
	Package string `json:"package,omitempty"`
	Name    string `json:"name,omitempty"`
	ID      string `json:"id,omitempty"`
	Pos     string `json:"pos,omitempty"` // package/file:line
	Text    string `json:"text"`
}

// String returns the finding as a line of text.
func (f Finding) String() string {
	if f.Pos == "" {
		return fmt.Sprintf("%s: %s", f.Code, f.Text)
	}
	return fmt.Sprintf("%s: %s: %s", f.Pos, f.Code, f.Text)
}

// CheckOptions selects what a program is compared with.
type CheckOptions struct {
	Ledgers []LedgerFile
	// Off is the same program built with the tag meminspect_off, or nil.
	Off *Program
}

// A LedgerFile is the file meminspect.ids of a package.
type LedgerFile struct {
	Path string // for messages
	Data []byte
}

// Check returns all findings, sorted by position, code and text. It returns an
// error if a check was not possible.
func (p *Program) Check(o CheckOptions) ([]Finding, error) {
	c := checker{p: p}
	c.problems()
	c.ids()
	c.versions()
	c.memory()
	var err error
	for _, file := range o.Ledgers {
		err = errors.Join(err, c.ledger(file))
	}
	err = errors.Join(err, c.declared())
	if o.Off != nil {
		err = errors.Join(err, c.kept(o.Off))
	}
	slices.SortFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Pos, b.Pos), strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(c.findings), err
}

type checker struct {
	p        *Program
	findings []Finding
}

func (c *checker) add(f Finding) { c.findings = append(c.findings, f) }

// onEntry adds a finding about an entry.
func (c *checker) onEntry(code Code, e *entry, format string, args ...any) {
	c.add(Finding{
		Code: code, Package: e.Package, Name: e.Name, ID: idText(e.ID),
		Pos: position(e.Package, e.Pos), Text: fmt.Sprintf(format, args...),
	})
}

// problems reports tables that could not be read.
func (c *checker) problems() {
	for _, err := range c.p.found.Problems {
		code := Unreadable
		var version *tables.VersionError
		if errors.As(err, &version) {
			code = UnknownVersion
		}
		c.add(Finding{Code: code, Text: err.Error()})
	}
}

// A use is a name that has an ID.
type use struct {
	id             uint64
	pkg, namespace string
	name, pos      string
	addr           memory.Address // 0 for a declared ID
}

func (u use) String() string { return fmt.Sprintf("%s (%s)", u.name, position(u.pkg, u.pos)) }

// uses lists all names that have an ID, in a stable order.
func (p *Program) uses() []use {
	var all []use
	for _, e := range p.entries {
		namespace := e.Package
		if e.Table != nil {
			namespace = e.Table.Namespace
		}
		all = append(all, use{e.ID, e.Package, namespace, e.Name, e.Pos, e.Addr})
	}
	for _, t := range p.found.Tables {
		for _, d := range t.Declared {
			all = append(all, use{d.ID, t.Package, t.Namespace, d.Name, d.Pos, 0})
		}
	}
	slices.SortStableFunc(all, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.id, b.id), strings.Compare(a.pkg, b.pkg), strings.Compare(a.name, b.name), strings.Compare(a.pos, b.pos))
	})
	return all
}

// ids reports IDs that more than one name has.
func (c *checker) ids() {
	all := c.p.uses()
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if a.id != b.id {
			continue
		}
		if a.addr == b.addr && a.addr != 0 && a.pkg == b.pkg && a.name == b.name {
			continue // a list may include a variable that is also annotated
		}
		f := Finding{Package: b.pkg, Name: b.name, ID: idText(b.id), Pos: position(b.pkg, b.pos)}
		switch {
		case a.namespace != b.namespace || a.name != b.name || a.pkg == b.pkg:
			f.Code = Collision
			f.Text = fmt.Sprintf("%s and %s have the same ID %s", a, b, f.ID)
		case majorless(a.pkg) == majorless(b.pkg):
			continue // versions reports it once per module
		default:
			f.Code = SameID
			f.Text = fmt.Sprintf("%s of %s has the ID %s, as in %s: a copy that kept the namespace %s", b.name, b.pkg, f.ID, a.pkg, a.namespace)
		}
		c.add(f)
	}
}

var majorElement = lazyexp.New(`(^|/)v([2-9]|[1-9]\d+)(/|$)|\.v\d+(/|$)`)

// majorless returns an import path without the major version of its module.
func majorless(pkg string) string {
	return strings.TrimSuffix(majorElement().ReplaceAllString(pkg, "/"), "/")
}

// versions reports annotated packages of which the program contains two major
// versions.
func (c *checker) versions() {
	byName := map[string][]string{}
	seen := map[string]bool{}
	for _, t := range c.p.found.Tables {
		if !seen[t.Package] {
			seen[t.Package] = true
			byName[majorless(t.Package)] = append(byName[majorless(t.Package)], t.Package)
		}
	}
	for _, packages := range byName {
		if len(packages) < 2 {
			continue
		}
		slices.Sort(packages)
		c.add(Finding{Code: TwoVersions, Package: packages[0], Pos: packages[0],
			Text: fmt.Sprintf("%s are versions of one module, and each has annotations: %s", strings.Join(packages, " and "), c.p.moduleVersions(packages))})
	}
}

// moduleVersions returns the module versions that packages come from, if the
// build information lists them.
func (p *Program) moduleVersions(packages []string) string {
	if p.module == nil || p.module.BuildInfo == nil {
		return "the program has no record of the versions"
	}
	var versions []string
	for _, pkg := range packages {
		var best *debug.Module // the module with the longest path that contains the package
		for _, dep := range p.module.BuildInfo.Deps {
			if (pkg == dep.Path || strings.HasPrefix(pkg, dep.Path+"/")) && (best == nil || len(dep.Path) > len(best.Path)) {
				best = dep
			}
		}
		if best != nil {
			versions = append(versions, best.Path+" "+best.Version)
		}
	}
	if len(versions) == 0 {
		return "the program has no record of the versions"
	}
	return strings.Join(versions, ", ")
}

// memory reports entries whose address is not that of a variable.
func (c *checker) memory() {
	segments := c.p.mem.Segments()
	relro := c.p.image.ReadOnlyAfterRelocation()
	for _, e := range c.p.entries {
		if e.SizeKnown && e.Size == 0 {
			continue // an empty variable may share its address
		}
		r := memory.RangeOf(e.Addr, max(e.Size, 1))
		at := slices.IndexFunc(segments, func(s memory.Segment) bool { return s.ContainsRange(r) })
		switch {
		case at < 0:
			c.onEntry(ReadOnly, e, "%s at %v is not in the program's data", e.Name, r)
		case !segments[at].Write || slices.ContainsFunc(relro, r.Overlaps):
			c.onEntry(ReadOnly, e, "%s at %v is in read-only data: it is the same in every capture", e.Name, e.Addr)
		}
	}
}

// ledger compares one ledger with the tables of its namespaces.
func (c *checker) ledger(file LedgerFile) error {
	l, err := ledger.Parse(file.Data)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Path, err)
	}
	met := false
	for _, u := range c.p.uses() {
		if !slices.Contains(l.Namespaces, u.namespace) {
			continue
		}
		met = true
		text := ""
		row, named := l.ByID(u.id), l.Find(u.namespace, u.name)
		switch {
		case row == nil && named != nil:
			text = fmt.Sprintf("%s has the ID %s in the program and %016x in %s line %d", u.name, idText(u.id), named.ID, file.Path, named.Line)
		case row == nil:
			text = fmt.Sprintf("%s with the ID %s is not in %s", u.name, idText(u.id), file.Path)
		case row.State == ledger.Gone:
			text = fmt.Sprintf("%s has the ID %s, which is retired in %s line %d", u.name, idText(u.id), file.Path, row.Line)
		case row.Name != u.name:
			text = fmt.Sprintf("the ID %s is %s in the program and %s in %s line %d", idText(u.id), u.name, row.Name, file.Path, row.Line)
		default:
			continue
		}
		c.add(Finding{Code: Disagrees, Package: u.pkg, Name: u.name, ID: idText(u.id), Pos: position(u.pkg, u.pos), Text: text})
	}
	if !met {
		name := path.Base(file.Path)
		if len(l.Namespaces) > 0 {
			name = l.Namespaces[0]
		}
		c.add(Finding{Code: Disagrees, Pos: file.Path, Text: fmt.Sprintf("the program has no table of the namespace %s", name)})
	}
	return nil
}
