package value

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// collected is why a region with a weak pointer has no value.
const collected inspect.Missing = "its object was collected before"

// OfProgram reports whether a region is the program's, and not one in which it describes
// itself.
func OfProgram(r *note.Region) bool { return r.ID == anchor.IDNone || r.ID >= anchor.FirstDynamic }

// Region returns the value of a region. Without its type it returns the
// region's bytes, with the reason.
func Region(p *inspect.Program, r *note.Region, limits Limits) *Value {
	return region(p, r, func(pl Place) *Value { return pl.Read(p, limits) })
}

// StreamRegion is [Region] by [Place.Stream].
func StreamRegion(p *inspect.Program, r *note.Region, limits Limits) *Value {
	return region(p, r, func(pl Place) *Value { return pl.Stream(p, limits) })
}

// ScanRegion is [Region] by [Place.Scan].
func ScanRegion(p *inspect.Program, r *note.Region, limits Limits) *Value {
	return region(p, r, func(pl Place) *Value { return pl.Scan(p, limits) })
}

func region(p *inspect.Program, r *note.Region, read func(Place) *Value) *Value {
	pl, err := PlaceOf(p, r)
	if absent := (*AbsentError)(nil); errors.As(err, &absent) {
		return &Value{Type: r.Type, Absent: absent.Why}
	}
	v := read(pl)
	if pl.Type == nil && pl.Form == Row {
		if why := untyped(p, r); why != "" {
			v.Notes = append(v.Notes, why)
		}
		return v
	}
	if t, err := regionType(p, r); err == nil && pl.Form == Row && r.Kind != anchor.SlotSlice { // an area
		v.Type, v.Slice = t.String(), false
		v.Omitted += t.Len - pl.Len
	}
	if pl.Form == Chars {
		return v
	}
	if r.Status&note.Torn != 0 {
		v.Notes = append(v.Notes, torn+"some of it changed while it was read")
	}
	if r.Status&note.Inconsistent != 0 {
		v.Notes = append(v.Notes, "some of it contradicted its type and was not followed")
	}
	if r.Status&note.Budget != 0 {
		v.Notes = append(v.Notes, "cut by budget")
	}
	return v
}

// untyped is the note about a region whose type is not known.
func untyped(p *inspect.Program, r *note.Region) string {
	if r.Kind == anchor.SlotForeign && r.TypeAddr == 0 {
		if r.Type == "" {
			return ""
		}
		return "a " + r.Type + ", which the program has no descriptor of: debuggers print it"
	}
	if _, err := regionType(p, r); err != nil {
		return err.Error()
	}
	return ""
}

func regionType(p *inspect.Program, r *note.Region) (*gotypes.Type, error) {
	if p.Types == nil || r.TypeAddr == 0 {
		return nil, ErrNoType
	}
	t, err := p.Types.At(memory.Address(r.TypeAddr))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoType, err)
	}
	// Programs that write their own core know a region by the type of a pointer
	// to it.
	if t.Kind == gotypes.Pointer && t.String() == "*"+r.Type {
		return t.Elem()
	}
	return t, nil
}

// Label names a region as the program's source does, where it can. main is the
// import path of the program's package main, empty when it is not known.
func Label(r *note.Region, main string) string {
	if r.Package != "" && r.Expr != "" {
		return PackageName(r.Package, main) + "." + r.Expr
	}
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("%016x", r.ID)
}

// Names returns the names of a region: its own, the source expression, that with the
// package's name or import path in front, and the ID in hexadecimal. main is the
// import path of the program's package main, "" when it is not known.
func Names(r *note.Region, main string) []string {
	names := []string{r.Name, fmt.Sprintf("%016x", r.ID), fmt.Sprintf("%#x", r.ID)}
	if r.Expr != "" {
		names = append(names, r.Expr)
		if r.Package != "" {
			names = append(names, r.Package+"."+r.Expr, PackageName(r.Package, main)+"."+r.Expr, path.Base(r.Package)+"."+r.Expr)
		}
	}
	return names
}

// Match reports whether a pattern, as of path.Match, is one of the names of a region.
func Match(pattern string, r *note.Region, main string) bool {
	for _, name := range Names(r, main) {
		if name == pattern {
			return true
		}
		// In names a slash is a letter like others.
		if ok, err := path.Match(flat(pattern), flat(name)); err == nil && ok {
			return true
		}
	}
	return false
}

// PackageName is a package's name as far as its import path shows it: main is the
// path of the program's package main.
func PackageName(importPath, main string) string {
	if importPath == main && main != "" {
		return "main"
	}
	return path.Base(importPath)
}

func flat(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
