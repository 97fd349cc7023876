package linker

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/debuginfo"
)

// types finds the types of the chosen variables in the debug information. A
// variable whose type is not found keeps the size of its symbol.
func (in *includer) types() error {
	if len(in.chosen) == 0 || in.p.types == nil {
		return nil
	}
	wanted := map[memory.Address]*entry{}
	packages := map[string]bool{}
	for i, e := range in.chosen {
		wanted[in.variables[i].symbol.Addr] = e
		packages[e.Package] = true
		if in.variables[i].alias != "" {
			packages["main"] = true
		}
		e.TypeErr = errors.New("the debug information does not have the variable")
	}
	data, err := debuginfo.Open(in.p.file, debuginfo.NoLimit)
	if err != nil {
		for _, e := range in.chosen {
			e.TypeErr = err
		}
		return nil // types are optional for a list
	}
	all, err := debuginfo.Variables(data, func(pkg string) bool { return packages[pkg] })
	if err != nil {
		return err
	}
	types, err := debuginfo.NewTypes(data, in.p.module, in.p.types, in.p.image.Bias)
	if err != nil {
		return fmt.Errorf("types: %w", err)
	}
	for _, v := range all {
		e := wanted[v.Addr]
		if e == nil {
			continue
		}
		if e.Type, e.TypeErr = types.Of(v); e.TypeErr != nil {
			continue
		}
		if e.Type.Size != e.Size {
			e.TypeErr = fmt.Errorf("the debug information has the type %v of %d bytes, and the symbol %d bytes", e.Type, e.Type.Size, e.Size)
			e.Type = nil
		}
	}
	return nil
}
