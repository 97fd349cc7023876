//go:build linux

package acceptance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/inspect"
	values "github.com/meminspect/meminspect/internal/inspect/value"
)

// A claim is a value as the program itself prints it: the Claim of
// internal/kinds/random/testdata/program.
type claim struct {
	Kind   string
	Text   string
	Type   string
	Parts  []*claim
	Hidden bool
	Cost   int
}

// any reports whether something holds for a value or one that it leads to.
func (s *claim) any(of func(*claim) bool) bool {
	if of(s) {
		return true
	}
	for _, p := range s.Parts {
		if p.any(of) {
			return true
		}
	}
	return false
}

// empty reports whether a value has no size.
func (s *claim) empty() bool {
	return (s.Kind == "struct" || s.Kind == "list" && s.Cost == 0) && !slices.ContainsFunc(s.Parts, func(p *claim) bool { return !p.empty() })
}

// index lists the targets of pointers, which are printed once each, and makes the
// bytes of texts again that the program has written as characters.
func (s *claim) index(all map[string]*claim) map[string]*claim {
	if s.Kind == "text" || s.Kind == "bytes" {
		raw := make([]byte, 0, len(s.Text))
		for _, r := range s.Text {
			raw = append(raw, byte(r))
		}
		s.Text = string(raw)
	}
	if s.Kind == "pointer" && len(s.Parts) > 0 {
		all[s.Text+s.Type] = s.Parts[0]
	}
	for _, p := range s.Parts {
		p.index(all)
	}
	return all
}

// A holding compares a value of a core with what the program prints of it.
type holding struct {
	all    map[string]*claim
	depth  int  // pointers that were followed
	cut    bool // a budget may have left out anything
	alias  bool // anything may be redacted
	own    bool // the core is the program's own
	trial  bool // the first fault is enough
	faults []string
}

func (h *holding) fault(path, format string, args ...any) {
	h.faults = append(h.faults, path+": "+fmt.Sprintf(format, args...))
}

// compare holds a value that is cost pointers away.
func (h *holding) compare(path string, s *claim, v *values.Value, cost int) {
	switch {
	case s.Kind == "more" || v.Absent == inspect.TooMuch || v.Cut || h.trial && len(h.faults) > 0:
		return
	case s.Hidden:
		h.redacted(path, v, cost)
		return
	case v.Absent != "":
		h.absent(path, v.Absent, s, cost)
		return
	}
	if s.Kind == "address" && v.Shape == values.Literal {
		if v.JSON != any(s.Type) {
			h.fault(path, "%s is shown as %v", s.Type, v.JSON)
		}
		return
	}
	want := map[string][]values.Shape{
		"address": {values.Struct}, // without what its family is in
		"literal": {values.Literal}, "text": {values.Text}, "bytes": {values.Bytes}, "struct": {values.Struct}, "list": {values.List}, "map": {values.Map},
		"pointer": {values.Pointer}, "interface": {values.Interface}, "func": {values.Func}, "chan": {values.Chan}, "nil": {values.Nil},
	}[s.Kind]
	if len(want) == 0 || v.Shape != want[0] {
		h.fault(path, "it is a %s, not shape %d", s.Kind, v.Shape)
		return
	}
	switch s.Kind {
	case "literal":
		if v.Text != s.Text && v.JSON != any(s.Text) && !h.sameTime(s, v) {
			h.fault(path, "%s is shown as %s (%v)", s.Text, v.Text, v.JSON)
		}
	case "text", "bytes":
		h.text(path, s, v, cost)
	case "struct", "address":
		h.structure(path, s, v, cost)
	case "list":
		if !v.BackRef { // a slice within itself
			h.list(path, s, v, cost+s.Cost)
		}
	case "chan":
		if state := strings.Join(v.State, "; "); !strings.HasPrefix(state, s.Text) {
			h.fault(path, "%q, not %q", state, s.Text)
		}
		h.list(path, s, v, cost+1)
	case "map":
		if !v.BackRef { // a map that contains itself
			h.mapping(path, s, v, cost+1)
		}
	case "pointer":
		h.pointer(path, s, v, cost+1)
	case "interface":
		if v.Elem.Type != s.Type {
			h.fault(path, "it holds a %s, not a %s", v.Elem.Type, s.Type)
			return
		}
		if h.own && s.Parts[0].Hidden && s.Cost == 0 {
			h.address(path, v.Elem)
			return
		}
		h.compare(path+".("+s.Type+")", s.Parts[0], v.Elem, cost+s.Cost)
	case "func":
		if instance.ReplaceAllString(v.Func.Name, "[...]") != s.Text {
			h.fault(path, "it is %s, not %s", v.Func.Name, s.Text)
		}
	}
}

// instance is what package runtime leaves out of a function's name.
var instance = regexp.MustCompile(`\[.*\]`)

// absent judges why a value is not shown.
func (h *holding) absent(path string, why inspect.Missing, s *claim, cost int) {
	if !h.may(why, s, cost) {
		h.fault(path, "%s, of depth %d", why, cost)
	}
}

// sameTime reports whether a time is shown in UTC, with a note, since its zone
// is after a pointer that the core did not follow.
func (h *holding) sameTime(s *claim, v *values.Value) bool {
	if len(v.Notes) != 1 || v.Notes[0] != "its time zone is not in the core" || !h.own {
		return false
	}
	text, _ := v.JSON.(string)
	want, err1 := time.Parse(time.RFC3339Nano, s.Text)
	got, err2 := time.Parse(time.RFC3339Nano, text)
	return err1 == nil && err2 == nil && got.Equal(want)
}

// may reports whether a value may be missing for a reason.
func (h *holding) may(why inspect.Missing, s *claim, cost int) bool {
	switch {
	case why == inspect.Redacted && (h.alias || s.Hidden):
		return true
	case s.Kind == "struct" && len(s.Parts) > 0: // all of it
		return !slices.ContainsFunc(s.Parts, func(p *claim) bool { return !h.may(why, p, cost) })
	case s.Kind == "interface" && s.Cost == 0 && cost <= h.depth:
		return h.may(why, s.Parts[0], cost) || h.own
	case why == inspect.BadType && s.Kind == "interface": // such a core has no types that are the heap's
		return h.own
	case why == inspect.NotCaptured:
		return h.cut || cost+s.Cost > h.depth
	case why == inspect.Redacted:
		return s.any(func(s *claim) bool { return s.Hidden })
	}
	return false
}

// redacted holds that nothing is shown of an excluded value.
func (h *holding) redacted(path string, v *values.Value, cost int) {
	if v.Absent == inspect.Redacted || v.Absent == inspect.NotCaptured && (h.cut || cost > h.depth) {
		return
	}
	parts := append([]*values.Value{}, v.Elems...)
	for _, f := range v.Fields {
		parts = append(parts, f.Value)
	}
	if v.Absent != "" || len(parts) == 0 || v.Shape != values.Struct && v.Shape != values.List {
		h.fault(path, "excluded and shown: %s (%s)", clip(v.Go()), v.Absent)
	}
	for _, p := range parts {
		h.redacted(path, p, cost)
	}
}

// address checks that, for an excluded value that is directly in an interface,
// only its address is shown: the program does not follow interfaces when it
// writes a core, see docs/reference/inside.md.
func (h *holding) address(path string, v *values.Value) {
	gone := func(v *values.Value) bool { return v.Absent == inspect.NotCaptured || v.Absent == inspect.Redacted }
	if !gone(v) && v.Shape != values.Literal && (v.Shape != values.Pointer || v.Elem == nil || !gone(v.Elem)) {
		h.fault(path, "excluded and shown: %s (%s)", clip(v.Go()), v.Absent)
	}
}

func (h *holding) text(path string, s *claim, v *values.Value, cost int) {
	want := s.Text
	for _, n := range v.Notes {
		if strings.Contains(n, "more bytes: not captured") && (h.cut || cost+s.Cost > h.depth) || strings.Contains(n, "more bytes: redacted") && h.alias {
			want = want[:min(len(v.Text), len(want))]
		}
	}
	if v.Text != want {
		h.fault(path, "%q is shown as %q %v", clip(want), clip(v.Text), v.Notes)
	}
}

func (h *holding) structure(path string, s *claim, v *values.Value, cost int) {
	var names []string
	for _, f := range v.Fields {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != s.Text {
		h.fault(path, "fields %s, not %s", got, s.Text)
		return
	}
	for i, f := range v.Fields {
		h.compare(path+"."+f.Name, s.Parts[i], f.Value, cost)
	}
}

func (h *holding) list(path string, s *claim, v *values.Value, cost int) {
	if len(s.Parts) != len(v.Elems)+int(v.Omitted) { // what the reader's own limit ends is omitted
		h.fault(path, "%d elements and %d, not %d", len(v.Elems), v.Omitted, len(s.Parts))
		return
	}
	for i, e := range v.Elems {
		h.compare(fmt.Sprintf("%s[%d]", path, i), s.Parts[i], e, cost)
	}
}

// differ reports whether two keys are not the same, at a glance.
func differ(s *claim, v *values.Value) bool {
	for s.Kind == "interface" && v.Shape == values.Interface && v.Absent == "" {
		s, v = s.Parts[0], v.Elem
	}
	switch {
	case v.Absent != "" || s.Hidden:
		return false
	case s.Kind == "literal":
		return v.Shape != values.Literal || v.Text != s.Text && v.JSON != any(s.Text)
	case s.Kind == "text":
		return v.Shape != values.Text || len(v.Notes) == 0 && v.Text != s.Text
	case s.Kind == "pointer":
		return v.Shape != values.Pointer || fmt.Sprintf("%#x", uint64(v.Addr)) != s.Text
	case s.Kind == "struct" && v.Shape == values.Struct && len(v.Fields) == len(s.Parts):
		for i, f := range v.Fields {
			if differ(s.Parts[i], f.Value) {
				return true
			}
		}
	case s.Kind == "list" && v.Shape == values.List && len(v.Elems) == len(s.Parts):
		for i, e := range v.Elems {
			if differ(s.Parts[i], e) {
				return true
			}
		}
	}
	return false
}

// certainFirst sorts entries whose keys lack something after the others: they
// look like many.
func certainFirst(entries []values.Entry) []values.Entry {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b values.Entry) int { return lacks(a.Key) - lacks(b.Key) })
	return entries
}

// shown reports whether a value lacks something that is not in the core, and
// whether a limit of the reader leaves something out.
func shown(v *values.Value) (missing, limited bool) {
	if v == nil {
		return false, false
	}
	for _, w := range append([]string{string(v.Absent)}, v.Notes...) {
		limited = limited || strings.HasSuffix(w, string(inspect.TooMuch))
		for _, m := range []inspect.Missing{inspect.NotCaptured, inspect.Redacted} {
			missing = missing || strings.HasSuffix(w, string(m))
		}
	}
	parts := append([]*values.Value{v.Elem}, v.Elems...)
	for _, f := range v.Fields {
		parts = append(parts, f.Value)
	}
	for _, e := range v.Entries {
		parts = append(parts, e.Key, e.Value)
	}
	for _, p := range parts {
		m, l := shown(p)
		missing, limited = missing || m, limited || l
	}
	return missing, limited || v.Omitted > 0
}

// lacks counts the parts of a value that are missing.
func lacks(v *values.Value) int {
	if v == nil {
		return 0
	}
	n := lacks(v.Elem)
	if v.Absent != "" {
		n++
	}
	for _, f := range v.Fields {
		n += lacks(f.Value)
	}
	for _, e := range v.Elems {
		n += lacks(e)
	}
	return n
}

// mapping finds to each entry of a core one of the program's.
func (h *holding) mapping(path string, s *claim, v *values.Value, cost int) {
	taken := make([]bool, len(s.Parts)/2)
	for _, e := range certainFirst(v.Entries) {
		found := false
		why := []string{"it has no such key"}
		for i := 0; i < len(s.Parts) && !found; i += 2 { // in any order
			if taken[i/2] || differ(s.Parts[i], e.Key) {
				continue
			}
			try := holding{all: h.all, depth: h.depth, cut: h.cut, alias: h.alias, own: h.own, trial: true}
			if try.compare(path+"'s key", s.Parts[i], e.Key, cost); len(try.faults) == 0 {
				try.compare(fmt.Sprintf("%s[entry %d]", path, i/2), s.Parts[i+1], e.Value, cost)
				if found = len(try.faults) == 0; found {
					taken[i/2] = true
				}
				why = try.faults
			}
		}
		if !found {
			text := ""
			if !h.trial {
				text = clip(e.Key.Go())
			}
			h.fault(path, "no entry is %s (%s)", text, strings.Join(why, "; "))
			return
		}
	}
	if len(v.Notes) > 0 && strings.HasSuffix(v.Notes[0], string(inspect.TooMuch)) { // the reader's own limit
		return
	}
	hidden := 0
	for i := range taken {
		if !taken[i] {
			hidden++
			for _, why := range []inspect.Missing{inspect.NotCaptured, inspect.Redacted} {
				if slices.ContainsFunc(v.Notes, func(n string) bool { return strings.HasSuffix(n, string(why)) }) && h.may(why, s.Parts[2*i], cost) && h.may(why, s.Parts[2*i+1], cost) {
					taken[i] = true
				}
			}
		}
	}
	if slices.Contains(taken, false) || v.Omitted > 0 || hidden == 0 != (len(v.Notes) == 0) {
		h.fault(path, "%d entries and %d, not %d: %q", len(v.Entries), v.Omitted, len(taken), v.Notes)
	}
}

func (h *holding) pointer(path string, s *claim, v *values.Value, cost int) {
	if got := fmt.Sprintf("%#x", uint64(v.Addr)); got != s.Text {
		h.fault(path, "%s points at %s", s.Text, got)
		return
	}
	target := h.all[s.Text+s.Type]
	if v.BackRef || target == nil {
		return
	}
	if v.Elem == nil {
		h.fault(path, "it shows no target")
		return
	}
	h.compare("*"+path, target, v.Elem, cost)
}
