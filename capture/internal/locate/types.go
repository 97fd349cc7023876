package locate

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/walk"
)

// PointedType returns T, given the address of the runtime type *T.
func (p *Program) PointedType(addr memory.Address) (*gotypes.Type, error) {
	ptr, err := p.Types.At(addr)
	if err != nil {
		return nil, err
	}
	if ptr.Kind != gotypes.Pointer {
		return nil, fmt.Errorf("type at %v: %s is not a pointer", addr, ptr.Name())
	}
	return ptr.Elem()
}

// A debugReads is what has been read of the debug information, on demand.
type debugReads struct {
	variables    *debugTypes
	closures     *debuginfo.Closures
	closuresRead bool
}

// debugTypes are the package variables whose types the debug information
// contains.
type debugTypes struct {
	byName map[string]debuginfo.Variable
	types  *debuginfo.Types
	err    error // why there are none
}

// DebugType returns the variable's type from the debug information.
func (p *Program) DebugType(s exe.Symbol) (*gotypes.Type, error) {
	if p.debug.variables == nil {
		p.debug.variables = p.readDebugTypes()
	}
	v, ok := p.debug.variables.byName[s.Name]
	if !ok {
		return nil, cmp.Or(p.debug.variables.err, errors.New("the debug information does not have it"))
	}
	typ, err := p.debug.variables.types.Of(v)
	if err == nil && typ.Size != s.Size {
		err = fmt.Errorf("it has %d bytes, its type %d", s.Size, typ.Size)
	}
	return typ, err
}

// readDebugTypes reads the compilation units of the file with the symbols.
func (p *Program) readDebugTypes() *debugTypes {
	d := &debugTypes{byName: map[string]debuginfo.Variable{}}
	data, types, err := p.debugInfo(debuginfo.NoLimit)
	if err != nil {
		d.err = err
		return d
	}
	all, err := debuginfo.Variables(data, nil)
	if err != nil {
		d.err = err
		return d
	}
	d.types = types
	for _, v := range all {
		d.byName[v.Name] = v
	}
	return d
}

// debugInfo reads the debug information of the file with the symbols, if no
// section of it is larger than limit bytes.
func (p *Program) debugInfo(limit uint64) (*dwarf.Data, *debuginfo.Types, error) {
	f, err := exe.Open(p.Symbols.path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := debuginfo.Open(f, limit)
	if err != nil {
		return nil, nil, err
	}
	types, err := debuginfo.NewTypes(data, p.Runtime.Program, p.Types.Set, p.Runtime.Home.Image.Bias)
	return data, types, err
}

// maxClosureInfo bounds a section of debug information that is read for
// closures: the process may be stopped, and the machine short of memory.
const maxClosureInfo = 64 << 20

// Closure returns the captured variables of the function literal with this
// entry, as far as the debug information has them. It is read once per program.
func (p *Program) Closure(entry memory.Address) []walk.ClosureVar {
	if !p.debug.closuresRead {
		p.debug.closuresRead = true
		if _, types, err := p.debugInfo(maxClosureInfo); err == nil {
			p.debug.closures = debuginfo.NewClosures(types)
		}
	}
	if p.debug.closures == nil {
		return nil
	}
	vars, err := p.debug.closures.Of(entry)
	if err != nil {
		return nil
	}
	out := make([]walk.ClosureVar, len(vars))
	for i, v := range vars {
		out[i] = walk.ClosureVar(v)
	}
	return out
}
