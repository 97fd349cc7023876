package capture

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// debugTypes are the package variables of which the debug information knows
// the type.
type debugTypes struct {
	byName map[string]debuginfo.Variable
	types  *debuginfo.Types
	err    error // why there are none
}

// debugType returns the type that the debug information gives a variable.
func (p *program) debugType(s exe.Symbol) (*gotypes.Type, error) {
	if p.debug == nil {
		p.debug = p.readDebugTypes()
	}
	v, ok := p.debug.byName[s.Name]
	if !ok {
		return nil, cmp.Or(p.debug.err, errors.New("the debug information does not have it"))
	}
	typ, err := p.debug.types.Of(v)
	if err == nil && typ.Size != s.Size {
		err = fmt.Errorf("it has %d bytes, its type %d", s.Size, typ.Size)
	}
	return typ, err
}

// readDebugTypes reads the compilation units of the file with the symbols.
func (p *program) readDebugTypes() *debugTypes {
	d := &debugTypes{byName: map[string]debuginfo.Variable{}}
	f, err := exe.Open(p.twinPath)
	if err != nil {
		d.err = err
		return d
	}
	defer f.Close()
	data, err := debuginfo.Open(f)
	if err != nil {
		d.err = err
		return d
	}
	all, err := debuginfo.Variables(data, nil)
	if err != nil {
		d.err = err
		return d
	}
	if d.types, d.err = debuginfo.NewTypes(data, p.prog, p.types, p.image.Bias); d.err != nil {
		return d
	}
	for _, v := range all {
		d.byName[v.Name] = v
	}
	return d
}
