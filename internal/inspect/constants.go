package inspect

import (
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// maxConstantInfo bounds a section of debug information that is read for constants.
const maxConstantInfo = 256 << 20

// constants are the program's, by their types.
type constants struct {
	opened bool
	file   *debuginfo.Constants              // of the executable, nil if it has none
	core   map[constantType]debuginfo.Names  // what the core has of them
	names  map[*gotypes.Type]debuginfo.Names // found so far
}

// A constantType names a declared type.
type constantType struct{ pkg, name string }

// Constant returns the name of the constant of a declared integer type that has a value,
// empty if none has. The core has the constants of packages with annotations, and the debug
// information of the executable has all. A type with a single constant is no enumeration:
// that is a default, or a limit.
func (p *Program) Constant(t *gotypes.Type, value int64) string {
	if !t.Named || t.PkgPath == "" {
		return ""
	}
	c := &p.constants
	names, ok := c.names[t]
	if !ok {
		if !c.opened {
			p.openConstants()
		}
		names = c.core[constantType{t.PkgPath, t.Name()}]
		if names == nil && c.file != nil {
			names, _ = c.file.Of(t.PkgPath, t.Name())
		}
		c.names[t] = names
	}
	if len(names) < 2 {
		return ""
	}
	return names[value]
}

func (p *Program) openConstants() {
	c := &p.constants
	c.opened, c.names, c.core = true, map[*gotypes.Type]debuginfo.Names{}, map[constantType]debuginfo.Names{}
	if p.Exe != nil {
		c.file, _ = debuginfo.OpenConstants(p.Exe, maxConstantInfo) // else numbers have no names
	}
	desc, ok := p.Core.Note(note.Owner, note.TypeConstants)
	if !ok {
		return
	}
	all, err := note.DecodeConstants(desc)
	if err != nil {
		p.Warn("%v", err)
		return
	}
	for _, k := range all {
		of := constantType{k.PkgPath, k.Type}
		if c.core[of] == nil {
			c.core[of] = debuginfo.Names{}
		}
		if _, ok := c.core[of][k.Value]; !ok {
			c.core[of][k.Value] = k.Name
		}
	}
}
