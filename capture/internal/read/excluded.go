package read

import (
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/request"
)

// Limits for the excluded values that are searched for in texts.
const (
	maxExcludedValues = 4096
	maxExcludedBytes  = 1 << 20
)

// excluded returns the values that texts about the program must not contain,
// nil if the program excludes nothing. Values of goroutines under package
// runtime/secret are not among them, because only registers and arguments have them.
func (r *reading) excluded() *request.Excluded {
	switch {
	case r.plan.Guarded():
	case r.snapshot.Redaction.Secret:
		return &request.Excluded{Panics: r.snapshot.Goroutines.Shown}
	default:
		return nil
	}
	redactor := r.snapshot.Redaction.Redactor
	out := &request.Excluded{Partial: r.plan.Doubt || redactor.Blind > 0 || redactor.Lost > 0, Panics: r.snapshot.Goroutines.Shown}
	left := uint64(maxExcludedBytes)
	for _, v := range redactor.Values {
		if len(out.Values) == maxExcludedValues || v.Size() > left {
			out.Partial = true
			break
		}
		left -= v.Size()
		data, err := memory.Reader{Memory: r.mem}.Bytes(v.Start, v.Size(), maxExcludedBytes)
		if err != nil {
			out.Partial = true
			continue
		}
		out.Values = append(out.Values, request.ExcludedValue{Data: data, Reached: v.Reached})
	}
	return out
}

// excludes reports whether an exclusion covers a type, or a part of its values
// or of what these lead to.
func excludes(pl *model.Plan, t *gotypes.Type) bool {
	return pl.Doubt || excludesWithin(pl, t, map[*gotypes.Type]bool{})
}

func excludesWithin(pl *model.Plan, t *gotypes.Type, seen map[*gotypes.Type]bool) bool {
	const maxTypes = 1 << 10
	if t == nil || seen[t] {
		return false
	}
	if seen[t] = true; len(seen) > maxTypes {
		return true
	}
	for i := range pl.Exclusions {
		if pl.Exclusions[i].ConcernsType(t) {
			return true
		}
	}
	for i := range t.Fields {
		if excludesWithin(pl, t.Fields[i].Type, seen) {
			return true
		}
	}
	switch t.Kind {
	case gotypes.Array, gotypes.Pointer, gotypes.Slice, gotypes.Chan, gotypes.Map:
		elem, err := t.Elem()
		if err != nil || excludesWithin(pl, elem, seen) {
			return true
		}
	}
	if t.Kind == gotypes.Map {
		key, err := t.Key()
		return err != nil || excludesWithin(pl, key, seen)
	}
	return false
}
