package collector

import (
	"debug/dwarf"

	"github.com/meminspect/meminspect/target/debuginfo"
	"github.com/meminspect/meminspect/target/exe"
	"github.com/meminspect/meminspect/target/gotypes"
)

// debugTypes are the package variables of which the debug information knows
// the type.
type debugTypes struct {
	data   *dwarf.Data
	byName map[string]debuginfo.Variable
}

// debugType returns the type that the debug information gives a variable, or
// nil.
func (p *program) debugType(name string) *gotypes.Type {
	if p.debug == nil {
		p.debug = readDebugTypes(p.twinPath)
	}
	v, ok := p.debug.byName[name]
	if !ok {
		return nil
	}
	typ, err := v.Type(p.debug.data, p.prog, p.types, p.image.Bias)
	if err != nil {
		return nil
	}
	return typ
}

// readDebugTypes reads the compilation units of the file at path. Without debug
// information the answer is empty.
func readDebugTypes(path string) *debugTypes {
	d := &debugTypes{byName: map[string]debuginfo.Variable{}}
	f, err := exe.Open(path)
	if err != nil {
		return d
	}
	defer f.Close()
	if d.data, err = debuginfo.Open(f); err != nil {
		return d
	}
	all, err := debuginfo.Variables(d.data, nil)
	if err != nil {
		return d
	}
	for _, v := range all {
		d.byName[v.Name] = v
	}
	return d
}
