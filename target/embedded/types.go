package embedded

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/gotypes"
)

// Types are a section's types in a program's Set: the program's own where it has
// descriptors, and made from what the section says of the others.
type Types struct {
	content *Content
	set     *gotypes.Set
	bias    target.Address
	known   map[int]target.Address
	due     map[target.Address]int // types that others know by their address, and that are not defined yet
}

// NewTypes returns the types of c, in a program that was moved by bias from its
// file.
func NewTypes(c *Content, set *gotypes.Set, bias target.Address) *Types {
	return &Types{content: c, set: set, bias: bias, known: map[int]target.Address{}, due: map[target.Address]int{}}
}

// At returns the type of an index, which is not negative.
func (ts *Types) At(i int) (*gotypes.Type, error) {
	t, err := ts.whole(i)
	for err == nil && len(ts.due) > 0 { // what it points at, and what that points at
		for addr := range ts.due {
			err = errors.Join(err, ts.define(addr))
		}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// whole returns a type that is part of another.
func (ts *Types) whole(i int) (*gotypes.Type, error) {
	addr, err := ts.at(i)
	if err == nil {
		err = ts.define(addr)
	}
	if err != nil {
		return nil, err
	}
	return ts.set.At(addr)
}

// at returns where a type stands, or will: types that point at themselves are
// known by their address before they are defined.
func (ts *Types) at(i int) (target.Address, error) {
	t := &ts.content.Types[i]
	if t.Addr != 0 {
		return t.Addr + ts.bias, nil
	}
	if addr, ok := ts.known[i]; ok {
		return addr, nil
	}
	addr, err := ts.set.Reserve()
	if err != nil {
		return 0, err
	}
	ts.known[i], ts.due[addr] = addr, i
	return addr, nil
}

// define defines the type at addr if that is due.
func (ts *Types) define(addr target.Address) error {
	i, ok := ts.due[addr]
	if !ok {
		return nil
	}
	delete(ts.due, addr)
	t := &ts.content.Types[i]
	d := gotypes.Definition{Name: t.Name, PkgPath: t.Package, Size: t.Size, Len: t.Len, Methods: t.Methods}
	var err error
	if d.Kind, err = gotypes.ParseKind(t.Kind); err != nil {
		return fmt.Errorf("type %s: %w", t.Name, err)
	}
	if t.Elem != nil && *t.Elem >= 0 {
		if d.Elem, err = ts.at(*t.Elem); err == nil && d.Kind == gotypes.Array {
			err = ts.define(d.Elem)
		}
		if err != nil {
			return err
		}
	}
	for _, f := range t.Fields {
		if f.Type < 0 {
			return fmt.Errorf("type %s: %w: field %s has no type", t.Name, ErrDamaged, f.Name)
		}
		of, err := ts.whole(f.Type)
		if err != nil {
			return err
		}
		d.Fields = append(d.Fields, gotypes.Field{Name: f.Name, Offset: f.Offset, Type: of})
	}
	_, err = ts.set.Define(addr, d)
	return err
}
