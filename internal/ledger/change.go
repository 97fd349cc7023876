package ledger

import (
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/nameid"
)

// A TakenError reports that a name's ID was issued before, for something else.
type TakenError struct {
	Name string
	Row  *Row
}

func (e *TakenError) Error() string {
	if e.Row.State == Gone {
		return fmt.Sprintf("the ID of %s was retired (%q) and is never issued again: give the annotation another name with name=", e.Name, e.Row)
	}
	return fmt.Sprintf("the ID of %s belongs to %s since a rename (%q): give the annotation another name with name=", e.Name, e.Row.Name, e.Row)
}

// Issue adds an ID for a name that has none.
func (l *Ledger) Issue(namespace, name string, state State, typ string) (*Row, error) {
	id := nameid.Of(namespace, name)
	if taken := l.ByID(id); taken != nil {
		return nil, &TakenError{name, taken}
	}
	if taken := l.Find(namespace, name); taken != nil {
		return nil, &TakenError{name, taken}
	}
	row := &Row{ID: id, Name: name, State: state, Type: typ, Namespace: namespace}
	l.Rows = append(l.Rows, row)
	return row, nil
}

// Rename gives an ID to another name.
func (l *Ledger) Rename(row *Row, name string) error {
	if row.State == Gone {
		return fmt.Errorf("%s is retired (%q): its ID is never issued again", row.Name, row)
	}
	if taken := l.Find(row.Namespace, name); taken != nil {
		return fmt.Errorf("%s already has an ID (%q)", name, taken)
	}
	if origin := row.Origin(); origin == name {
		row.Was = ""
	} else {
		row.Was = origin
	}
	row.Name = name
	return nil
}

// Retire turns an ID into a tombstone.
func (l *Ledger) Retire(row *Row) {
	row.State, row.Type = Gone, ""
}
