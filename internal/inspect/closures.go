package inspect

import (
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
)

// maxClosureInfo bounds a section of debug information that is read for closures, as in
// captures.
const maxClosureInfo = 64 << 20

// closures are those of the executable.
type closures struct {
	file   *debuginfo.Closures // nil if it has no debug information
	opened bool
}

// Receiver returns where the receiver of a method value is, from the function value on, and
// its type, nil if that is not known. entry is that of the function, whose name ends in
// "-fm". Only the debug information of the executable has it.
func (p *Program) Receiver(entry memory.Address) *debuginfo.Captured {
	name := ""
	if p.Exe != nil && p.Go != nil {
		name = p.FuncName(entry)
	}
	if !strings.HasSuffix(name, methodValue) {
		return nil
	}
	if !p.closures.opened {
		p.closures.opened = true
		p.closures.file = p.openClosures()
	}
	if p.closures.file == nil {
		return nil
	}
	vars, err := p.closures.file.Of(entry)
	if err != nil {
		return nil
	}
	if len(vars) == 0 {
		if receiver, ok := p.closures.file.MethodValue(name); ok {
			return &receiver
		}
	}
	if len(vars) != 1 || vars[0].Type == nil {
		return nil
	}
	return &vars[0]
}

// methodValue ends the name of the function that a method value calls.
const methodValue = "-fm"

func (p *Program) openClosures() *debuginfo.Closures {
	data, err := debuginfo.Open(p.Exe, maxClosureInfo)
	if err != nil {
		return nil
	}
	types, err := debuginfo.NewTypes(data, p.Go, p.Types, p.bias)
	if err != nil {
		return nil
	}
	return debuginfo.NewClosures(types)
}
