package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// dynamic returns the plan of the type whose descriptor stands at addr, or nil
// when there is none.
func (w *walker) dynamic(addr memory.Address) *plan {
	if addr == w.lastType && w.lastPlan != nil {
		return w.lastPlan
	}
	p, ok := w.byType[addr]
	if !ok {
		if t, err := w.cfg.Types.At(addr); err == nil && t.Kind != gotypes.Interface {
			p = w.planOf(t)
		}
		w.byType[addr] = p
	}
	w.lastType, w.lastPlan = addr, p
	return p
}

type itabKey struct {
	addr  memory.Address
	iface *gotypes.Type
}

// itab returns the plan of the concrete type of the itab at addr, which stands
// in an interface of type t; nil when it does not fit.
func (w *walker) itab(addr memory.Address, t *gotypes.Type) *plan {
	key := itabKey{addr, t}
	p, ok := w.itabs[key]
	if !ok {
		if inter, concrete := w.readItab(addr); concrete != nil && inter == t.Addr {
			p = w.planOf(concrete)
			w.facts = append(w.facts, memory.RangeOf(addr, itabHead+uint64(max(t.Methods, 1))*wordBytes))
		}
		w.itabs[key] = p
	}
	return p
}

// itabHead is where the methods begin in an itab.
const itabHead = 24

// readItab returns the interface's and the concrete type of an itab.
func (w *walker) readItab(addr memory.Address) (inter memory.Address, concrete *gotypes.Type) {
	concrete, err := w.cfg.Types.Itab(addr)
	if err != nil {
		return 0, nil
	}
	inter, err = memory.Reader{Memory: w.cfg.Memory}.Pointer(addr)
	if err != nil {
		return 0, nil
	}
	return inter, concrete
}
