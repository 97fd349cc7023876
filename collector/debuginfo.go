package collector

import (
	"debug/dwarf"
	"debug/elf"

	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/gotypes"
)

// debugTypes are the runtime types that the debug information gives to
// package variables.
type debugTypes struct {
	byName map[string]uint64 // offsets from moduledata.types
}

// attrGoRuntimeType is DW_AT_go_runtime_type, Go's own attribute of a type:
// where its runtime type stands.
const attrGoRuntimeType dwarf.Attr = 0x2904

// debugType returns the type that the debug information gives a variable, or
// nil.
func (p *program) debugType(name string) *gotypes.Type {
	if p.debug == nil {
		p.debug = readDebugTypes(p.twinPath)
	}
	off, ok := p.debug.byName[name]
	if !ok {
		return nil
	}
	typ, err := p.types.At(target.Address(off) + p.image.Bias)
	if err != nil {
		return nil
	}
	return typ
}

// readDebugTypes reads the compilation units of the file at path. Without debug
// information the answer is empty.
func readDebugTypes(path string) *debugTypes {
	d := &debugTypes{byName: map[string]uint64{}}
	f, err := elf.Open(path)
	if err != nil {
		return d
	}
	defer f.Close()
	info, err := f.DWARF()
	if err != nil {
		return d
	}
	r := info.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			return d
		}
		switch e.Tag {
		case dwarf.TagCompileUnit:
			continue
		case dwarf.TagVariable:
			name, ok1 := e.Val(dwarf.AttrName).(string)
			typ, ok2 := e.Val(dwarf.AttrType).(dwarf.Offset)
			if ok1 && ok2 {
				if rtype := runtimeType(info, typ); rtype != 0 {
					d.byName[name] = rtype
				}
			}
		}
		if e.Children {
			r.SkipChildren()
		}
	}
}

// runtimeType returns the address of the runtime type of the type at off; a
// typedef's is that of what it stands for.
func runtimeType(info *dwarf.Data, off dwarf.Offset) uint64 {
	for range 2 {
		r := info.Reader()
		r.Seek(off)
		e, err := r.Next()
		if err != nil || e == nil {
			return 0
		}
		if addr, ok := e.Val(attrGoRuntimeType).(uint64); ok && addr != 0 {
			return addr
		}
		next, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok || e.Tag != dwarf.TagTypedef {
			return 0
		}
		off = next
	}
	return 0
}
