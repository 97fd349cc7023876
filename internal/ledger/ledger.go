// Package ledger reads and changes the file meminspect.ids. The file is in a
// package's folder and is checked in. It has what must never change: the namespace
// that the folder's IDs are hashed with, and every ID that was ever issued.
//
// The file is text, a line an ID, sorted by name:
//
//	meminspect 1
//	namespace example.com/shop/store
//	9f86d081884c7d65 Sessions entry map[string]*Session
//	e3b0c44298fc1c14 Queue entry was=Jobs *Ring
//	c1a5298f939e87e8 Config id
//	a54d88e06612d820 Old gone
//
// Fields are separated by one space: the ID as 16 hexadecimal digits, the name
// that has it now, and its state: entry (a variable), id (declared, and
// registered at run time) or gone (a tombstone, never issued again). After a
// rename was= keeps the name that the ID is the hash of. What follows is the
// variable's type if the syntax shows it, "?" if not. Lines that
// begin with # are comments.
//
// Everything can be checked: an ID is the hash of one of the namespaces and the
// name or was=. Two sets of lines merged by "merge=union" are put in order
// again where they agree, and refused where they do not.
package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/meminspect/meminspect/runtime/format/nameid"
)

// FileName is the ledger's name in a package's folder.
const FileName = "meminspect.ids"

// A State is a kind of ID.
type State string

// The states.
const (
	Entry    State = "entry" // an annotated variable
	Declared State = "id"    // registered at run time
	Gone     State = "gone"  // retired: a tombstone
)

// UnknownType is the text for a type that the syntax does not show.
const UnknownType = "?"

// A Row is one ID.
type Row struct {
	ID        uint64
	Name      string
	State     State
	Was       string // the name that the ID is the hash of, "" when Name is
	Type      string // of an entry
	Namespace string // that the ID is hashed with
	Line      int    // in the file it was read from, 0 for a new one
}

// Origin returns the name that the ID is the hash of.
func (r *Row) Origin() string {
	if r.Was != "" {
		return r.Was
	}
	return r.Name
}

// String returns the row's line.
func (r *Row) String() string {
	line := fmt.Sprintf("%016x %s %s", r.ID, r.Name, r.State)
	if r.Was != "" {
		line += " was=" + r.Was
	}
	if r.State == Entry && r.Type != "" {
		line += " " + r.Type
	}
	return line
}

// A Ledger is the content of one file.
type Ledger struct {
	Namespaces []string // the package's own first, then its external tests'
	Rows       []*Row   // in the order of the file
}

// ErrConflict is wrapped by the errors about lines that contradict each other.
var ErrConflict = errors.New("the lines contradict each other")

// A LineError is what is wrong with a line.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

const header = "meminspect 1"

// Parse reads a ledger. All errors are reported, joined, each a *LineError.
// Without an error, [Ledger.Format] gives the file as it should be, which
// differs from data when that needed repair.
func Parse(data []byte) (*Ledger, error) {
	p := &parser{ledger: &Ledger{}}
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		p.line(number, strings.TrimRight(text, "\r\n"))
	}
	if !p.headed && len(p.errs) == 0 {
		p.fail(1, fmt.Errorf("a ledger begins with %q", header))
	}
	p.bind()
	if len(p.errs) == 0 {
		p.unite()
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.ledger, nil
}

// A parser reads one ledger.
type parser struct {
	ledger *Ledger
	spaces map[string]int // namespace to line
	headed bool
	errs   []error
}

func (p *parser) fail(line int, err error) { p.errs = append(p.errs, &LineError{line, err}) }

// line reads one line.
func (p *parser) line(number int, text string) {
	fields := strings.SplitN(text, " ", 4)
	switch {
	case strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#"):
	case text == header:
		p.headed = true
	case fields[0] == "meminspect":
		p.fail(number, fmt.Errorf("%q: this tool reads version 1 alone; update it", text))
		p.headed = true
	case strings.HasPrefix(text, "<<<<<<<") || strings.HasPrefix(text, "=======") || strings.HasPrefix(text, ">>>>>>>"):
		p.fail(number, fmt.Errorf("%q: a merge conflict: keep the lines of both sides and run meminspect generate", text))
	case fields[0] == "namespace" && len(fields) == 2 && isWord(fields[1]):
		if !slices.Contains(p.ledger.Namespaces, fields[1]) {
			p.ledger.Namespaces = append(p.ledger.Namespaces, fields[1])
			if p.spaces == nil {
				p.spaces = map[string]int{}
			}
			p.spaces[fields[1]] = number
		}
	default:
		row, err := parseRow(fields)
		if err != nil {
			p.fail(number, fmt.Errorf("%q: %w", text, err))
			return
		}
		row.Line = number
		p.ledger.Rows = append(p.ledger.Rows, row)
	}
}

func parseRow(fields []string) (*Row, error) {
	if len(fields) < 3 {
		return nil, errors.New("want an ID, a name and a state")
	}
	id, err := strconv.ParseUint(fields[0], 16, 64)
	if err != nil || fmt.Sprintf("%016x", id) != fields[0] {
		return nil, errors.New("an ID has 16 hexadecimal digits")
	}
	row := &Row{ID: id, Name: fields[1], State: State(fields[2])}
	if !isWord(row.Name) {
		return nil, errors.New("no name")
	}
	if row.State != Entry && row.State != Declared && row.State != Gone {
		return nil, fmt.Errorf("the state %q is not entry, id or gone", row.State)
	}
	if len(fields) == 4 {
		row.Type = fields[3]
		if was, ok := strings.CutPrefix(row.Type, "was="); ok {
			row.Was, row.Type, _ = strings.Cut(was, " ")
			if !isWord(row.Was) || row.Was == row.Name {
				return nil, errors.New("was= has another name")
			}
		}
		if row.Type != strings.TrimSpace(row.Type) || row.Type != "" && row.State != Entry {
			return nil, errors.New("unexpected text after the state")
		}
	}
	return row, nil
}

// isWord reports whether s is one field of a line.
func isWord(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) < 0
}

// bind finds each row's namespace, which proves that the ID was not edited.
func (p *parser) bind() {
	own := ""
	for _, namespace := range p.ledger.Namespaces {
		tests := own != "" && namespace == own+TestSuffix
		switch {
		case own == "":
			own = namespace
		case own == namespace+TestSuffix:
			// Sorted into the wrong order by a merge.
			own = namespace
		case !tests:
			p.fail(p.spaces[namespace], fmt.Errorf("%w: %q and %q: keep the namespace that the released IDs have",
				ErrConflict, "namespace "+own, "namespace "+namespace))
		}
	}
	if own != "" && len(p.ledger.Namespaces) > 1 {
		p.ledger.Namespaces = []string{own, own + TestSuffix}
	}
	for _, row := range p.ledger.Rows {
		for _, namespace := range p.ledger.Namespaces {
			if nameid.Of(namespace, row.Origin()) == row.ID {
				row.Namespace = namespace
			}
		}
		if row.Namespace == "" && len(p.errs) == 0 {
			p.fail(row.Line, fmt.Errorf("%q: the ID is not that of %s in the namespace %s: was it edited?", row, row.Origin(), own))
		}
	}
}

// TestSuffix ends the namespace of a folder's external test package.
const TestSuffix = "_test"

// unite takes lines that two branches brought together, where they agree.
func (p *parser) unite() {
	type key struct{ namespace, name string }
	byID := map[uint64]*Row{}
	byName := map[key]*Row{}
	var rows []*Row
	for _, row := range p.ledger.Rows {
		twin, ok := byID[row.ID]
		if !ok {
			twin, ok = byName[key{row.Namespace, row.Name}]
		}
		switch {
		case !ok:
			byID[row.ID], byName[key{row.Namespace, row.Name}] = row, row
			rows = append(rows, row)
		case twin.ID == row.ID && twin.Name == row.Name && twin.State == row.State:
			// The same, except perhaps the type, which comes from the source.
			if twin.Type != row.Type {
				twin.Type = UnknownType
			}
		default:
			p.fail(row.Line, fmt.Errorf("%w: %q on line %d and %q: delete the one that is wrong", ErrConflict, twin, twin.Line, row))
		}
	}
	p.ledger.Rows = rows
}

// Format returns the file's bytes.
func (l *Ledger) Format() []byte {
	var b bytes.Buffer
	b.WriteString("# The IDs of this folder's annotations. Check this file in; meminspect generate keeps it.\n")
	b.WriteString(header + "\n")
	for _, namespace := range l.Namespaces {
		b.WriteString("namespace " + namespace + "\n")
	}
	rows := slices.Clone(l.Rows)
	slices.SortFunc(rows, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for _, row := range rows {
		b.WriteString(row.String() + "\n")
	}
	return b.Bytes()
}

// Find returns the row that has a name now, in a namespace; a tombstone too.
func (l *Ledger) Find(namespace, name string) *Row {
	for _, row := range l.Rows {
		if row.Namespace == namespace && row.Name == name {
			return row
		}
	}
	return nil
}

// ByID returns the row of an ID, nil if there is none.
func (l *Ledger) ByID(id uint64) *Row {
	for _, row := range l.Rows {
		if row.ID == id {
			return row
		}
	}
	return nil
}
