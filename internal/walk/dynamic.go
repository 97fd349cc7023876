package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// dynamic returns the plan of the type whose descriptor is at addr, or nil if
// there is no type.
func (w *walker) dynamic(addr memory.Address) *typePlan {
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

// itab returns the plan of the concrete type of the itab at addr, which is in
// an interface of type t; nil if it does not fit.
func (w *walker) itab(addr memory.Address, t *gotypes.Type) *typePlan {
	key := itabKey{addr, t}
	p, ok := w.itabs[key]
	if !ok {
		if it, err := goobject.ItabAt(w.cfg.Types, addr); err == nil && it.Inter.Addr == t.Addr {
			p = w.planOf(it.Type)
			w.facts = append(w.facts, it.Range)
		}
		w.itabs[key] = p
	}
	return p
}
