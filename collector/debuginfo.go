package collector

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/target/debuginfo"
	"github.com/meminspect/meminspect/target/exe"
	"github.com/meminspect/meminspect/target/gotypes"
)

// debugTypes are the package variables of which the debug information knows
// the type.
type debugTypes struct {
	data   *dwarf.Data
	byName map[string]debuginfo.Variable
	err    error // why there are none
}

// debugType returns the type that the debug information gives a variable.
func (p *program) debugType(s exe.Symbol) (*gotypes.Type, error) {
	if p.debug == nil {
		p.debug = readDebugTypes(p.twinPath)
	}
	v, ok := p.debug.byName[s.Name]
	if !ok {
		return nil, cmp.Or(p.debug.err, errors.New("the debug information does not have it"))
	}
	typ, err := v.Type(p.debug.data, p.prog, p.types, p.image.Bias)
	if err == nil && typ.Size != s.Size {
		err = fmt.Errorf("it has %d bytes, its type %d", s.Size, typ.Size)
	}
	return typ, err
}

// readDebugTypes reads the compilation units of the file at path.
func readDebugTypes(path string) *debugTypes {
	d := &debugTypes{byName: map[string]debuginfo.Variable{}}
	f, err := exe.Open(path)
	if err != nil {
		d.err = err
		return d
	}
	defer f.Close()
	if d.data, d.err = debuginfo.Open(f); d.err != nil {
		return d
	}
	all, err := debuginfo.Variables(d.data, nil)
	if err != nil {
		d.err = err
		return d
	}
	for _, v := range all {
		d.byName[v.Name] = v
	}
	return d
}
