package value

import (
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

// Region returns the value of a region. Without its type the region's bytes
// are returned, with the reason beside them.
func Region(p *inspect.Program, r *note.Region, limits Limits) *Value {
	addr := memory.Address(r.Addr)
	switch {
	case r.Status&note.Gone != 0:
		return &Value{Type: r.Type, Absent: collected}
	case r.Kind == anchor.SlotString:
		return ReadText(p, addr, r.Size, limits)
	case r.Kind == anchor.SlotForeign && r.TypeAddr == 0:
		v := ReadBytes(p, addr, r.Size, limits)
		if r.Type != "" {
			v.Notes = append(v.Notes, "a "+r.Type+", which the program has no descriptor of: debuggers print it")
		}
		return v
	}
	t, err := regionType(p, r)
	if err != nil {
		v := ReadBytes(p, addr, r.Size, limits)
		v.Notes = append(v.Notes, err.Error())
		return v
	}
	var v *Value
	switch {
	case r.Kind == anchor.SlotSlice && t.Size > 0:
		v = ReadList(p, t, addr, r.Size/t.Size, limits)
	case r.Size < t.Size && t.Kind == gotypes.Array && t.Len > 0: // the first bytes of an area
		v = area(p, t, addr, r.Size, limits)
	default:
		v = Read(p, t, addr, limits)
	}
	if r.Status&note.Torn != 0 {
		v.Notes = append(v.Notes, "torn: some of it changed while it was read")
	}
	if r.Status&note.Inconsistent != 0 {
		v.Notes = append(v.Notes, "some of it contradicted its type and was not followed")
	}
	if r.Status&note.Budget != 0 {
		v.Notes = append(v.Notes, "cut by budget")
	}
	return v
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

// area reads the elements of an array of which the first size bytes were
// registered.
func area(p *inspect.Program, t *gotypes.Type, addr memory.Address, size uint64, limits Limits) *Value {
	elem, err := t.Elem()
	if err != nil || elem.Size == 0 {
		return ReadBytes(p, addr, size, limits)
	}
	var v *Value
	if elem.Kind == gotypes.Uint8 {
		v = ReadBytes(p, addr, size, limits)
	} else {
		v = ReadList(p, elem, addr, size/elem.Size, limits)
	}
	v.Type, v.Slice = t.String(), false
	v.Omitted += t.Len - size/elem.Size
	return v
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

// PackageName is a package's name as far as its import path tells: main is the
// path of the program's package main.
func PackageName(importPath, main string) string {
	if importPath == main && main != "" {
		return "main"
	}
	return path.Base(importPath)
}

func flat(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
