package debuginfo

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
)

// Constants are a program's constants of declared integer types. The compilation unit of
// a package is read when one of its types is asked for.
type Constants struct {
	data  *dwarf.Data
	units []dwarf.Offset
	read  map[string]map[string]Names // by package and type
}

// Names are the names of the constants of one type, by their values. Of several constants
// with one value it has the first.
type Names map[int64]string

// OpenConstants reads a file's debug information, within the limit of [Open].
func OpenConstants(f *exe.File, limit uint64) (*Constants, error) {
	content, err := sections(f, limit)
	if err != nil {
		return nil, err
	}
	data, err := parse(content)
	if err != nil {
		return nil, err
	}
	units, err := unitsOf(content[".debug_info"])
	return &Constants{data: data, units: units, read: map[string]map[string]Names{}}, err
}

// unitsOf returns the offsets of the first entries of the compilation units.
func unitsOf(info []byte) (units []dwarf.Offset, err error) {
	const length, version, header4, header5 = 4, 6, 11, 12
	for off := uint64(0); off < uint64(len(info)); {
		rest := info[off:]
		if len(rest) < header5 || binary.LittleEndian.Uint32(rest) >= 0xfffffff0 { // 64-bit DWARF
			return nil, fmt.Errorf("debug information: unit at %#x: %w", off, errBreaksOff)
		}
		header := uint64(header4)
		if binary.LittleEndian.Uint16(rest[length:version]) >= 5 {
			header = header5
		}
		size := length + uint64(binary.LittleEndian.Uint32(rest))
		if size < header {
			return nil, fmt.Errorf("debug information: unit at %#x: %w", off, errBreaksOff)
		}
		units = append(units, dwarf.Offset(off+header))
		off += size
	}
	return units, nil
}

// Of returns the constants of a type with a name in a package, nil if it has no constants.
func (c *Constants) Of(pkg, name string) (Names, error) {
	types, ok := c.read[pkg]
	if !ok {
		var err error
		if types, err = c.packageOf(pkg); err != nil {
			err = fmt.Errorf("debug information of package %s: %w", pkg, err)
		}
		c.read[pkg] = types
		return types[name], err
	}
	return types[name], nil
}

// packageOf reads the constants of a package.
func (c *Constants) packageOf(pkg string) (map[string]Names, error) {
	r := c.data.Reader()
	for _, unit := range c.units {
		r.Seek(unit)
		die, err := r.Next()
		if err != nil {
			return nil, err
		}
		if die == nil || die.Tag != dwarf.TagCompileUnit {
			continue
		}
		if name, _ := die.Val(dwarf.AttrName).(string); name == pkg {
			return c.unit(r, pkg)
		}
	}
	return nil, nil
}

// unit reads the constants of a compilation unit.
func (c *Constants) unit(r *dwarf.Reader, pkg string) (map[string]Names, error) {
	types := map[string]Names{}
	names := map[dwarf.Offset]string{}
	for {
		die, err := r.Next()
		if err != nil || die == nil {
			return types, errors.Join(err, errBreaksOff)
		}
		if die.Tag == 0 {
			return types, nil
		}
		if die.Children {
			r.SkipChildren()
		}
		name, ok1 := die.Val(dwarf.AttrName).(string)
		typ, ok2 := die.Val(dwarf.AttrType).(dwarf.Offset)
		value, ok3 := die.Val(dwarf.AttrConstValue).(int64)
		if die.Tag != dwarf.TagConstant || !ok1 || !ok2 || !ok3 {
			continue
		}
		if _, ok := names[typ]; !ok {
			names[typ] = c.typeName(typ)
		}
		// A type of another package has its constants there.
		of, ok := strings.CutPrefix(names[typ], pkg+".")
		if !ok {
			continue
		}
		if types[of] == nil {
			types[of] = Names{}
		}
		if _, ok := types[of][value]; !ok {
			types[of][value] = strings.TrimPrefix(name, pkg+".")
		}
	}
}

// typeName returns the name of the type at an offset, empty if it has none.
func (c *Constants) typeName(off dwarf.Offset) string {
	r := c.data.Reader()
	r.Seek(off)
	die, err := r.Next()
	if err != nil || die == nil {
		return ""
	}
	name, _ := die.Val(dwarf.AttrName).(string)
	return name
}
