package debuginfo

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// What package debug/dwarf does not name: Go's attributes of a type.
const (
	attrGoKind        dwarf.Attr = 0x2900
	attrGoElem        dwarf.Attr = 0x2902
	attrGoEmbedded    dwarf.Attr = 0x2903
	attrGoRuntimeType dwarf.Attr = 0x2904
)

// Types are the types of a program by its debug information. Where the program
// holds a descriptor it is that type; where nothing in the program needs one (of
// a slice that is never in an interface) the type is made in the program's Set.
type Types struct {
	data   *dwarf.Data
	module *module.Module
	set    *gotypes.Set
	bias   memory.Address
	known  map[dwarf.Offset]memory.Address
}

var errBreaksOff = errors.New("the debug information breaks off")

// An entry is an entry of the debug information, with a reader positioned after
// it.
type entry struct {
	*dwarf.Entry
	r *dwarf.Reader
}

// NewTypes returns the types of p, which may have been moved by bias from its
// file.
func NewTypes(data *dwarf.Data, p *module.Program, set *gotypes.Set, bias memory.Address) (*Types, error) {
	if len(p.Modules) == 0 {
		return nil, errors.New("the program has no module")
	}
	return &Types{data: data, module: p.Modules[0], set: set, bias: bias, known: map[dwarf.Offset]memory.Address{}}, nil
}

// Of returns a variable's type.
func (ts *Types) Of(v Variable) (*gotypes.Type, error) {
	t, err := ts.typeAt(v.typ)
	if err != nil {
		return nil, fmt.Errorf("type of %s: %w", v.Name, err)
	}
	return t, nil
}

// typeAt returns the type that is described at off.
func (ts *Types) typeAt(off dwarf.Offset) (*gotypes.Type, error) {
	addr, err := ts.at(off)
	if err != nil {
		return nil, err
	}
	return ts.set.At(addr)
}

// at returns the address of the type described at off.
func (ts *Types) at(off dwarf.Offset) (memory.Address, error) {
	die, err := ts.resolve(off)
	if err != nil {
		return 0, err
	}
	if addr, ok := ts.known[die.Offset]; ok {
		return addr, nil
	}
	if value, ok := die.Val(attrGoRuntimeType).(uint64); ok && value != 0 {
		t, err := ts.held(die.Entry, value)
		if err != nil {
			return 0, err
		}
		ts.known[die.Offset] = t.Addr
		return t.Addr, nil
	}
	addr, err := ts.set.Make(func() (gotypes.Definition, error) { return ts.definition(die) })
	if err == nil {
		ts.known[die.Offset] = addr
	}
	return addr, err
}

// resolve returns the entry that has the kind of a type: typedefs lead there.
func (ts *Types) resolve(off dwarf.Offset) (entry, error) {
	r := ts.data.Reader()
	for range 3 { // a typedef or two
		r.Seek(off)
		die, err := r.Next()
		if err != nil || die == nil {
			return entry{}, errors.Join(err, errBreaksOff)
		}
		if kindOf(die) != gotypes.Invalid {
			return entry{die, r}, nil
		}
		next, ok := die.Val(dwarf.AttrType).(dwarf.Offset)
		if die.Tag != dwarf.TagTypedef || !ok {
			break
		}
		off = next
	}
	return entry{}, errors.New("the debug information does not say of what kind it is")
}

// kindOf returns the kind of the type that an entry describes. An unsafe.Pointer
// is known by pointing at nothing.
func kindOf(die *dwarf.Entry) gotypes.Kind {
	if kind, ok := die.Val(attrGoKind).(int64); ok {
		return gotypes.Kind(kind)
	}
	if die.Tag == dwarf.TagPointerType && die.Val(dwarf.AttrType) == nil {
		return gotypes.UnsafePointer
	}
	return gotypes.Invalid
}

// held returns the type whose descriptor an attribute names. Go's linker writes its
// offset in the section of the types, which is the distance from where the
// module's types begin; linkers of C make an address of it. The wrong one of
// the two leads to no type, or to one of another kind.
func (ts *Types) held(die *dwarf.Entry, value uint64) (*gotypes.Type, error) {
	var errs []error
	for _, addr := range []memory.Address{ts.module.Types.Start.Add(value), memory.Address(value) + ts.bias} {
		t, err := ts.set.At(addr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		size, hasSize := die.Val(dwarf.AttrByteSize).(int64)
		if kindOf(die) != t.Kind || hasSize && uint64(size) != t.Size {
			errs = append(errs, fmt.Errorf("%v at %v differs from the debug information", t, addr))
			continue
		}
		return t, nil
	}
	return nil, errors.Join(errs...)
}

// definition reads the type that an entry describes.
func (ts *Types) definition(die entry) (gotypes.Definition, error) {
	name, _ := die.Val(dwarf.AttrName).(string)
	d := gotypes.Definition{Kind: kindOf(die.Entry)}
	d.PkgPath, d.Name = declared(name)
	var err error
	switch d.Kind {
	case gotypes.Map, gotypes.Chan:
		// Without a descriptor the program can have put nothing into it.
		d.Kind = gotypes.UnsafePointer
	case gotypes.Pointer:
		if d.Elem, err = ts.ref(die, dwarf.AttrType); err != nil {
			d.Kind, err = gotypes.UnsafePointer, nil // to something of C
		}
	case gotypes.Slice:
		d.Elem, err = ts.ref(die, attrGoElem)
	case gotypes.Array:
		if d.Len, err = length(die.r); err == nil {
			d.Elem, err = ts.ref(die, dwarf.AttrType)
		}
	case gotypes.Interface:
		d.Methods, err = ts.methods(die)
	case gotypes.Struct:
		size, _ := die.Val(dwarf.AttrByteSize).(int64)
		d.Size = uint64(size)
		d.Fields, err = ts.fields(die)
	}
	if err != nil {
		return d, fmt.Errorf("type %s: %w", name, err)
	}
	return d, nil
}

func (ts *Types) ref(die entry, attr dwarf.Attr) (memory.Address, error) {
	off, ok := die.Val(attr).(dwarf.Offset)
	if !ok {
		return 0, errors.New("the debug information does not say what it consists of")
	}
	return ts.at(off)
}

// length reads the number of elements, which the array's only child has.
func length(r *dwarf.Reader) (uint64, error) {
	child, err := r.Next()
	if err == nil && child != nil && child.Tag == dwarf.TagSubrangeType {
		if n, ok := child.Val(dwarf.AttrCount).(int64); ok && n >= 0 {
			return uint64(n), nil
		}
	}
	return 0, errors.Join(err, errors.New("the debug information does not say how long it is"))
}

// methods distinguishes interfaces with methods, of which the runtime has another struct,
// from those without.
func (ts *Types) methods(die entry) (int, error) {
	off, ok := die.Val(dwarf.AttrType).(dwarf.Offset)
	if ok {
		r := ts.data.Reader()
		r.Seek(off)
		if of, err := r.Next(); err == nil && of != nil {
			switch name, _ := of.Val(dwarf.AttrName).(string); name {
			case "runtime.iface":
				return 1, nil
			case "runtime.eface":
				return 0, nil
			}
		}
	}
	return 0, errors.New("the debug information does not say whether it has methods")
}

func (ts *Types) fields(die entry) ([]gotypes.Field, error) {
	if !die.Children {
		return nil, nil
	}
	var fields []gotypes.Field
	for {
		child, err := die.r.Next()
		if err != nil || child == nil {
			return nil, errors.Join(err, errBreaksOff)
		}
		if child.Tag == 0 {
			return fields, nil
		}
		name, _ := child.Val(dwarf.AttrName).(string)
		off, ok1 := child.Val(dwarf.AttrDataMemberLoc).(int64)
		typ, ok2 := child.Val(dwarf.AttrType).(dwarf.Offset)
		if child.Tag != dwarf.TagMember || !ok1 || !ok2 || off < 0 {
			return nil, fmt.Errorf("field %q is not understood", name)
		}
		t, err := ts.typeAt(typ)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		embedded, _ := child.Val(attrGoEmbedded).(bool)
		fields = append(fields, gotypes.Field{Name: name, Offset: uint64(off), Type: t, Embedded: embedded})
	}
}

// receivers returns where the types are that may have methods, by their names: declared
// types, and pointers to them.
func (ts *Types) receivers() map[string]dwarf.Offset {
	found := map[string]dwarf.Offset{}
	r := ts.data.Reader()
	for {
		die, err := r.Next()
		if err != nil || die == nil {
			return found // those before it are right
		}
		if die.Tag == dwarf.TagCompileUnit {
			continue
		}
		if name, _ := die.Val(dwarf.AttrName).(string); die.Tag == dwarf.TagTypedef || die.Tag == dwarf.TagPointerType {
			if pkg, _ := declared(strings.TrimPrefix(name, "*")); pkg != "" {
				found[name] = die.Offset
			}
		}
		if die.Children {
			r.SkipChildren()
		}
	}
}

// declared splits the name of a declared type into its package and the name that
// reflect gives it; for other types the name is all there is.
func declared(name string) (pkg, short string) {
	base, _, _ := strings.Cut(name, "[") // type arguments have dots too
	last := strings.LastIndexByte(base, '/') + 1
	dot := strings.IndexByte(base[last:], '.')
	if dot <= 0 || strings.ContainsAny(base, "*(){} ") {
		return "", name
	}
	pkg = name[:last+dot]
	if path, err := url.PathUnescape(pkg); err == nil {
		pkg = path
	}
	return pkg, name[last:]
}
