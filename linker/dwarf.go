package linker

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/exe"
)

// What package debug/dwarf does not name: Go's attribute of a type, which is the
// address of its descriptor, and the operation of a fixed address.
const (
	attrGoRuntimeType = 0x2904
	opAddr            = 0x03
)

// dwarfMost bounds what the debug information of one program may expand to.
const dwarfMost = 4 << 30

// types finds the types of the chosen variables in the debug information. A
// variable whose type is not found there keeps the size that its symbol has.
func (in *includer) types() error {
	if len(in.chosen) == 0 || in.p.types == nil {
		return nil
	}
	wanted := map[target.Address]*Entry{}
	packages := map[string]bool{}
	for i, e := range in.chosen {
		wanted[in.variables[i].symbol.Addr] = e
		packages[e.Package] = true
		if in.variables[i].alias != "" {
			packages["main"] = true
		}
		e.TypeErr = errors.New("the debug information does not tell its type")
	}
	data, err := debugInfo(in.p.file)
	if err != nil {
		for _, e := range in.chosen {
			e.TypeErr = err
		}
		return nil // the list can do without types
	}
	r := data.Reader()
	for {
		unit, err := r.Next()
		if err != nil {
			return fmt.Errorf("debug information: %w", err)
		}
		if unit == nil {
			return nil
		}
		name, _ := unit.Val(dwarf.AttrName).(string)
		if unit.Tag != dwarf.TagCompileUnit || !packages[name] {
			r.SkipChildren()
			continue
		}
		if err := in.unit(data, r, wanted); err != nil {
			return fmt.Errorf("debug information of %s: %w", name, err)
		}
	}
}

// unit reads the variables of one compilation unit.
func (in *includer) unit(data *dwarf.Data, r *dwarf.Reader, wanted map[target.Address]*Entry) error {
	types := data.Reader()
	for {
		die, err := r.Next()
		if err != nil {
			return err
		}
		if die == nil || die.Tag == 0 {
			return nil
		}
		if die.Children {
			r.SkipChildren()
		}
		if die.Tag != dwarf.TagVariable {
			continue
		}
		addr, ok := staticAddress(die)
		e := wanted[addr]
		if !ok || e == nil {
			continue
		}
		off, ok := die.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok {
			continue
		}
		rtype, err := runtimeType(types, off)
		if err != nil || rtype == 0 {
			continue
		}
		t, err := in.p.types.At(rtype + in.p.image.Bias)
		if err != nil {
			e.TypeErr = err
			continue
		}
		if t.Size != e.Size {
			e.TypeErr = fmt.Errorf("the debug information says %v, of %d bytes, and the symbol has %d", t, t.Size, e.Size)
			continue
		}
		e.Type, e.TypeErr = t, nil
	}
}

// staticAddress is where a variable stands that does not move.
func staticAddress(die *dwarf.Entry) (target.Address, bool) {
	location, ok := die.Val(dwarf.AttrLocation).([]byte)
	if !ok || len(location) != 9 || location[0] != opAddr {
		return 0, false
	}
	return target.Address(binary.LittleEndian.Uint64(location[1:])), true
}

// runtimeType is the descriptor's address of the type at off, directly or of
// what a typedef names; 0 when there is none.
func runtimeType(r *dwarf.Reader, off dwarf.Offset) (target.Address, error) {
	for range 2 {
		r.Seek(off)
		die, err := r.Next()
		if err != nil || die == nil {
			return 0, err
		}
		switch v := die.Val(attrGoRuntimeType).(type) {
		case uint64:
			if v != 0 {
				return target.Address(v), nil
			}
		case int64:
			if v != 0 {
				return target.Address(v), nil
			}
		}
		next, ok := die.Val(dwarf.AttrType).(dwarf.Offset)
		if die.Tag != dwarf.TagTypedef || !ok {
			return 0, nil
		}
		off = next
	}
	return 0, nil
}

// debugInfo opens a file's debug information.
func debugInfo(f *exe.File) (*dwarf.Data, error) {
	sections, err := f.Sections()
	if err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	for _, s := range sections {
		switch s.Name {
		case ".debug_abbrev", ".debug_info", ".debug_str", ".debug_line", ".debug_ranges",
			".debug_addr", ".debug_line_str", ".debug_str_offsets", ".debug_rnglists":
			data, err := f.Data(s, dwarfMost)
			if err != nil {
				return nil, err
			}
			content[s.Name] = data
		}
	}
	if content[".debug_info"] == nil {
		return nil, errors.New("the program has no debug information")
	}
	data, err := dwarf.New(content[".debug_abbrev"], nil, nil, content[".debug_info"], content[".debug_line"], nil, content[".debug_ranges"], content[".debug_str"])
	if err != nil {
		return nil, fmt.Errorf("debug information: %w", err)
	}
	for _, name := range []string{".debug_addr", ".debug_line_str", ".debug_str_offsets", ".debug_rnglists"} {
		if content[name] == nil {
			continue
		}
		if err := data.AddSection(name, content[name]); err != nil {
			return nil, fmt.Errorf("debug information: %w", err)
		}
	}
	return data, nil
}
