package inspect

import (
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// maxConstantInfo bounds a section of debug information that is read for constants.
const maxConstantInfo = 256 << 20

// constants are those of the executable, by their types.
type constants struct {
	file   *debuginfo.Constants // nil if it has none
	opened bool
	names  map[*gotypes.Type]debuginfo.Names
}

// Constant returns the name of the constant of a declared integer type that has a value,
// empty if none has. Only the debug information of the executable has constants. A type
// with a single constant is no enumeration: that is a default, or a limit.
func (p *Program) Constant(t *gotypes.Type, value int64) string {
	if p.Exe == nil || !t.Named || t.PkgPath == "" {
		return ""
	}
	c := &p.constants
	names, ok := c.names[t]
	if !ok {
		if !c.opened {
			c.opened, c.names = true, map[*gotypes.Type]debuginfo.Names{}
			c.file, _ = debuginfo.OpenConstants(p.Exe, maxConstantInfo) // else numbers have no names
		}
		if c.file != nil {
			names, _ = c.file.Of(t.PkgPath, t.Name())
		}
		c.names[t] = names
	}
	if len(names) < 2 {
		return ""
	}
	return names[value]
}
