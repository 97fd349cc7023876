package inspect

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect/expr"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// A Value is a value of a core, or several: those of a path with [*].
type Value struct {
	core  *Core
	path  string
	all   bool          // the path has [*]
	found []expr.Result // one without it
	err   error
}

// Var returns the value to which a path leads. A path is a Go expression that begins with
// the name of a region:
//
//	main.sessions["ada"].Orders[3]   fields, elements, and keys of maps
//	main.sessions[*].User            * selects all elements
//	main.queue.jobs[2:5]             a part of a slice, an array or a string
//	len(main.queue.jobs)
//	main.shape.(*main.Circle)
//
// It leads through pointers and interfaces without a * or an assertion. An error in the
// path is that of the Value's methods.
func (c *Core) Var(path string) *Value {
	if c.scope == nil {
		c.scope = expr.NewScope(c.prog)
	}
	v := &Value{core: c, path: path}
	parsed, err := expr.Parse(path, c.scope.Names())
	if err != nil {
		v.err = err
		return v
	}
	v.all = parsed.Every()
	for result, err := range parsed.Eval(c.scope) {
		if err != nil {
			v.err = err
			return v
		}
		v.found = append(v.found, result)
	}
	return v
}

// Err returns the error in the path, nil if there is none.
func (v *Value) Err() error { return v.err }

// Path returns the path of the value.
func (v *Value) Path() string { return v.path }

// All returns the values to which a path with [*] leads, each with its own path.
// Without [*] it is the value alone.
func (v *Value) All() []*Value {
	if v.err != nil {
		return nil
	}
	out := make([]*Value, len(v.found))
	for i, r := range v.found {
		out[i] = &Value{core: v.core, path: r.Path, found: []expr.Result{r}}
	}
	return out
}

// Type returns the Go type of the value, "" if it is not known or the path has [*].
func (v *Value) Type() string {
	if v.err != nil || v.all || len(v.found) != 1 {
		return ""
	}
	return v.found[0].Read(v.core.prog, value.Limits{Depth: 1, Elements: 1}).Type
}

// String returns the value in Go syntax, as `meminspect print` prints it. What the core
// does not have is a comment in its place. Several values are one on a line.
func (v *Value) String() string {
	if v.err != nil {
		return "/* " + v.err.Error() + " */"
	}
	var lines []string
	for i := range v.found {
		lines = append(lines, v.found[i].Read(v.core.prog, value.Limits{}).Go())
	}
	return strings.Join(lines, "\n")
}

// MarshalJSON returns the value in the form of `meminspect print --json`, which
// docs/reference/json.md describes. Several values are an array.
func (v *Value) MarshalJSON() ([]byte, error) {
	if v.err != nil {
		return nil, v.err
	}
	var parts []string
	for i := range v.found {
		b, err := v.found[i].Read(v.core.prog, v.core.whole()).MarshalJSON()
		if err != nil {
			return nil, err
		}
		parts = append(parts, string(b))
	}
	if !v.all {
		return []byte(strings.Join(parts, "")), nil
	}
	return []byte("[" + strings.Join(parts, ",") + "]"), nil
}

// wholeDepth is the depth of a value that is read as a whole.
const wholeDepth = 10_000

// whole returns the limits of values that are read as a whole.
func (c *Core) whole() value.Limits {
	held, _ := c.core.Captured()
	return value.Limits{Depth: wholeDepth, Elements: -1, Bytes: -1, Values: value.ValuesIn(held)}
}

// Decode stores the value in what dst points at, a variable of the reader's own type. A
// path with [*] needs a pointer to a slice.
//
// Types are matched by what they are, and fields of structs by their names, exported or
// not: first as they are written, then without regard to case. A tag names another field,
// `meminspect:"name"`, or none, `meminspect:"-"`. Fields that dst does not have are left
// out; a field that the program's type does not have is an error. Numbers must fit.
// Pointers that lead to one object lead to one object in dst too, also in cycles. Types
// with a method Store, as those of sync/atomic and sync.Map, are filled by it. An empty
// interface holds bool, int64, uint64, float64, complex128, string, []byte, time.Time,
// []any, map[string]any, map[any]any or nil.
//
// If parts are missing, Decode stores the others and returns a *[MissingError].
func (v *Value) Decode(dst any) error {
	if v.err != nil {
		return v.err
	}
	d := newDecoder()
	if err := d.results(v, dst); err != nil {
		return fmt.Errorf("decode %s: %w", v.path, err)
	}
	if len(d.missing) > 0 {
		return &MissingError{Parts: d.missing}
	}
	return nil
}

// A MissingError lists the parts of a value that a core does not have.
type MissingError struct{ Parts []Missing }

// Missing is a part of a value that a core does not have.
type Missing struct {
	Path   string // of the part
	Reason string // such as "not captured", "redacted" or "torn: it changed while it was read"
}

// Error lists the first parts.
func (e *MissingError) Error() string {
	const most = 5
	var b strings.Builder
	b.WriteString("missing: ")
	for i, m := range e.Parts {
		if i == most {
			fmt.Fprintf(&b, ", and %d more", len(e.Parts)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s)", m.Path, m.Reason)
	}
	return b.String()
}

var errPointer = errors.New("the destination is not a pointer that leads to a variable")
