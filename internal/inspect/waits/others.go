package waits

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Bounds of what is searched for pointers, and of what is listed.
const (
	maxStack  = 64 << 10 // bytes of a stack, its innermost calls
	maxStacks = 64 << 20 // bytes of all of them
	maxOthers = 8        // for an object
)

// findOthers finds the goroutines that may let those go on that wait for objects: those
// that have pointers to the objects on their stacks.
func findOthers(p *inspect.Program, objects []Object, list []stacks.Goroutine) {
	f := finder{p: p, pointers: map[memory.Address][]*Object{}, own: map[*stacks.Goroutine][]memory.Address{}, unlocks: map[memory.Address]bool{}, readUnlocks: map[memory.Address]bool{}}
	for i := range objects {
		o := &objects[i]
		if o.Addr == 0 {
			continue
		}
		for _, addr := range append([]memory.Address{o.Addr}, o.within...) {
			if !slices.Contains(f.pointers[addr], o) {
				f.pointers[addr] = append(f.pointers[addr], o)
			}
		}
		for _, w := range o.Waiters {
			f.own[w.Goroutine] = append(f.own[w.Goroutine], o.Addr)
		}
	}
	if len(f.pointers) == 0 {
		return
	}
	f.findUses(list)
	left := uint64(maxStacks)
	stack := make([]byte, maxStack)
	for i := range list {
		g := &list[i]
		size := min(g.Stack.Size(), maxStack)
		if g.System() || size == 0 {
			continue
		}
		if size > left {
			for k := range objects {
				objects[k].more = true
			}
			break
		}
		left -= size
		n, _ := p.Stack().ReadAt(stack[:size], g.Stack.Start) // where the core has no memory the reading ends
		f.words = f.words[:0]
		for words := stack[:n&^(memory.PtrSize-1)]; len(words) > 0; words = words[memory.PtrSize:] {
			f.words = append(f.words, memory.Address(binary.LittleEndian.Uint64(words)))
		}
		f.search(g)
	}
	for i := range objects {
		slices.SortStableFunc(objects[i].Others, func(a, b Other) int { return cmp.Compare(a.rank(), b.rank()) })
	}
}

// rank is the place of an Other among those of an object: the strongest reason comes first.
func (o *Other) rank() int {
	switch {
	case o.Deferred:
		return 0
	case o.Upgrades:
		return 1
	}
	return 2
}

// A finder finds the objects that the words of stacks point to.
type finder struct {
	p        *inspect.Program
	pointers map[memory.Address][]*Object           // by what points to them
	own      map[*stacks.Goroutine][]memory.Address // the objects that it waits for
	words    []memory.Address                       // of a stack, from its lowest address

	// Functions of deferred calls that unlock their argument, and those that do for reading.
	unlocks, readUnlocks map[memory.Address]bool
}

// findUses adds the goroutines that have called a function whose code uses an object: that
// of a package variable, to which no stack has a pointer.
func (f *finder) findUses(list []stacks.Goroutine) {
	desc, ok := f.p.Core.Note(note.Owner, note.TypeUses)
	if !ok {
		return
	}
	uses, err := note.DecodeUses(desc)
	if err != nil {
		f.p.Warn("which functions use what goroutines wait for: %v", err)
		return
	}
	byFunction := map[memory.Address][]*Object{}
	for _, u := range uses {
		function, addr := memory.Address(u.Function), memory.Address(u.Object)
		switch {
		case u == note.Use{}:
			for _, found := range f.pointers {
				for _, o := range found {
					o.more = true
				}
			}
		case addr == 0:
			f.unlocks[function] = true
		case addr == note.UseReadUnlocks:
			f.readUnlocks[function] = true
		}
		for _, o := range f.pointers[addr] {
			if o.Addr == addr {
				byFunction[function] = append(byFunction[function], o)
			}
		}
	}
	if len(byFunction) == 0 {
		return
	}
	for i := range list {
		g := &list[i]
		if g.System() {
			continue
		}
		for _, frame := range g.Frames {
			if frame.Inlined {
				continue // the code is that of the function that it is inlined into
			}
			for _, o := range byFunction[frame.Entry] {
				o.addOther(g, Other{Uses: frame.Function})
			}
		}
	}
}

// search adds a goroutine to the objects to which its words point.
func (f *finder) search(g *stacks.Goroutine) {
	for i, word := range f.words {
		found := f.pointers[word]
		if len(found) == 0 {
			continue
		}
		by, wrapper, deferred := f.deferredBy(g, i)
		waits := slices.Contains(f.own[g], word)
		for _, o := range found {
			releases := o.Addr == word && deferred && o.releasable() && g.State != condWait
			switch {
			case releases && (!waits || holds(g, by) || o.Kind == waitGroup): // which is counted down after the wait
				o.addOther(g, Other{Deferred: true})
			case releases && f.readUnlocks[wrapper] && o.waitsForReaders(g):
				o.addOther(g, Other{Upgrades: true})
			case !waits: // the object for which it waits may be the first field of a struct
				o.addOther(g, Other{})
			}
		}
	}
}

// waitsForReaders reports whether a goroutine waits to lock an RWMutex that readers have.
func (o *Object) waitsForReaders(g *stacks.Goroutine) bool {
	locks := func(w Waiter) bool { return w.Goroutine == g && w.Action == Lock }
	first := func(w Waiter) bool { return strings.HasPrefix(w.State, rwMutexLock) } // other writers wait for this one
	return o.Kind == rwMutex && slices.ContainsFunc(o.Waiters, locks) && slices.ContainsFunc(o.Waiters, first)
}

// condWait is the state of a goroutine that has unlocked a lock, although its deferred call
// will unlock it again.
const condWait = "sync.Cond.Wait"

// deferredBy reports whether a word of a stack belongs to a call that the goroutine has
// deferred and that unlocks, and the function that did. The compiler puts what such a call needs into an
// object on the stack, which begins with the address of a function: x.deferwrap1. A word
// that points to the object is zero until the defer statement runs. Both may be leftovers
// of a function that has returned.
func (f *finder) deferredBy(g *stacks.Goroutine, word int) (function string, wrapper memory.Address, ok bool) {
	const most = 4 // arguments
	for i := word - 1; i >= 0 && i >= word-most; i-- {
		if name, _, is := strings.Cut(f.p.FuncName(f.words[i]), ".deferwrap"); is {
			object := g.Stack.Start.Add(uint64(i) * memory.PtrSize)
			called := func(frame stacks.Frame) bool { return frame.Function == name }
			unlocks := f.unlocks[f.words[i]] || name == once
			return name, f.words[i], unlocks && slices.Contains(f.words, object) && slices.ContainsFunc(g.Frames, called)
		}
	}
	return "", 0, false
}

// once is the function that runs a function once: it locks, defers the unlock, and calls it.
const once = "sync.(*Once).doSlow"

// holds reports whether a goroutine may have what it waits for, since a function of its stack
// has deferred the release: not if it is the function that waits, which may have released it
// by hand. That of a sync.Once waits before its defer statement, so that another call has it.
func holds(g *stacks.Goroutine, by string) bool {
	if by == once {
		calls := 0
		for _, frame := range g.Frames {
			if frame.Function == once {
				calls++
			}
		}
		return calls > 1
	}
	return by != callerOf(g)
}

// callerOf returns the function that waits: not one of package sync or the runtime.
func callerOf(g *stacks.Goroutine) string {
	if frames := g.Calls(); len(frames) > 0 {
		return stacks.Caller(frames).Function
	}
	return ""
}

// addOther adds a goroutine that may release the object, for the reason in why. One that
// waits for the object is another only if it has deferred a call with it.
func (o *Object) addOther(g *stacks.Goroutine, why Other) {
	why.Goroutine = g
	at := slices.IndexFunc(o.Others, func(have Other) bool { return have.Goroutine == g })
	if at >= 0 {
		o.Others[at].Deferred = o.Others[at].Deferred || why.Deferred
		o.Others[at].Upgrades = o.Others[at].Upgrades || why.Upgrades
		return
	}
	if !why.Deferred && !why.Upgrades && slices.ContainsFunc(o.Waiters, func(w Waiter) bool { return w.Goroutine == g }) {
		return
	}
	if len(o.Others) < maxOthers {
		o.Others = append(o.Others, why)
		return
	}
	o.more = true
	if weak := slices.IndexFunc(o.Others, func(have Other) bool { return have.rank() > why.rank() }); weak >= 0 {
		o.Others[weak] = why
	}
}
