package waits

import (
	"encoding/binary"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// Bounds of what is searched for pointers, and of what is listed.
const (
	maxStack  = 64 << 10 // bytes of a stack, its innermost calls
	maxStacks = 64 << 20 // bytes of all of them
	maxOthers = 8        // for an object
)

// findOthers finds the goroutines that have pointers to objects for which others
// wait.
func findOthers(p *inspect.Program, objects []Object, list []stacks.Goroutine) {
	pointers := map[memory.Address][]*Object{} // by what points to them
	for i := range objects {
		o := &objects[i]
		if o.Addr == 0 {
			continue
		}
		for _, addr := range append([]memory.Address{o.Addr}, o.within...) {
			if !slices.Contains(pointers[addr], o) {
				pointers[addr] = append(pointers[addr], o)
			}
		}
	}
	if len(pointers) == 0 {
		return
	}
	own := map[*stacks.Goroutine][]memory.Address{} // the objects that they wait for
	for i := range objects {
		for _, w := range objects[i].Waiters {
			own[w.Goroutine] = append(own[w.Goroutine], objects[i].Addr)
		}
	}
	left := uint64(maxStacks)
	stack := make([]byte, maxStack)
	for i := range list {
		g := &list[i]
		size := min(g.Stack.Size(), maxStack)
		if g.System() || size == 0 {
			continue
		}
		if size > left {
			return
		}
		left -= size
		n, _ := p.Memory().ReadAt(stack[:size], g.Stack.Start) // where the core has no memory the reading ends
		for words := stack[:n&^(memory.PtrSize-1)]; len(words) > 0; words = words[memory.PtrSize:] {
			word := memory.Address(binary.LittleEndian.Uint64(words))
			if len(pointers[word]) == 0 || slices.Contains(own[g], word) {
				continue // the object for which it waits may be the first field of a struct
			}
			for _, o := range pointers[word] {
				o.addOther(g)
			}
		}
	}
}

// addOther adds a goroutine that has a pointer to the object.
func (o *Object) addOther(g *stacks.Goroutine) {
	if len(o.Others) == maxOthers || slices.Contains(o.Others, g) {
		return
	}
	if !slices.ContainsFunc(o.Waiters, func(w Waiter) bool { return w.Goroutine == g }) {
		o.Others = append(o.Others, g)
	}
}
