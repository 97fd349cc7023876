package expr

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect/value"
)

// Bounds of a completion: candidates, and keys of a map that are read for them.
const (
	maxCandidates = 200
	maxKeys       = 10_000
)

// Complete returns paths that begin with text, one step longer than what text leads
// to: regions, then fields, elements and keys.
func (s *Scope) Complete(text string) []string {
	open := operandStart(text)
	prefix, text := text[:open], text[open:]
	var paths []string
	for i := range s.p.Core.Regions {
		r := &s.p.Core.Regions[i]
		if label := value.Label(r, s.main); r.ID != 0 && strings.HasPrefix(label, text) && len(paths) < maxCandidates {
			paths = append(paths, label)
		}
	}
	if at := lastStep(text); at > 0 {
		paths = append(paths, s.continued(text[:at], text[at:])...)
	}
	paths = append(paths, s.continued(text, "")...)
	slices.Sort(paths)
	paths = slices.Compact(paths)
	for i := range paths {
		paths[i] = prefix + paths[i]
	}
	return paths[:min(len(paths), maxCandidates)]
}

// operandStart returns where the last operand begins: after the parenthesis of a call
// and the stars of pointers.
func operandStart(text string) (start int) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '`' || c == '\'':
			i = closing(text, i)
		case c == '(' && (i == 0 || text[i-1] != '.') || c == '*' && i == start:
			start = i + 1
		}
	}
	return start
}

// lastStep returns where the last step of a path begins, which may be cut off; 0 if it
// has none.
func lastStep(text string) (at int) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '`', '\'':
			i = closing(text, i)
		case '.', '[':
			at = i
		}
	}
	return at
}

// continued returns the paths that lead one step on from base and whose step begins with
// begin.
func (s *Scope) continued(base, begin string) (paths []string) {
	x, err := Parse(base, s.Names())
	if err != nil {
		return nil
	}
	add := func(step string) {
		if strings.HasPrefix(step, begin) && len(paths) < maxCandidates {
			paths = append(paths, base+step)
		}
	}
	for result, err := range x.Eval(s) {
		pl, ok := result.Place()
		if err != nil || !ok {
			return nil
		}
		if pl, err = pl.Through(s.p); err != nil {
			return nil
		}
		for _, name := range fieldNames(pl) {
			add("." + name)
		}
		if pl.IsMap() {
			s.keys(pl, add)
			add("[*]")
		} else if list, err := pl.Sequence(s.p); err == nil && list.Len > 0 {
			add("[*]")
			add("[0]")
		}
		break // of many elements the first one is an example
	}
	return paths
}

// keys adds the keys of a map.
func (s *Scope) keys(pl value.Place, add func(step string)) {
	t, err := pl.Table(s.p)
	if err != nil {
		return
	}
	for i := range min(t.Len(), maxKeys) {
		if key := t.Key(i); key.Absent == "" {
			add("[" + t.KeyText(i) + "]")
		}
	}
}
