// Package waits finds what the goroutines of a core wait for: the object, the path
// of the annotated variable that leads to it, and who else waits for it.
package waits

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// An Object is what goroutines wait for.
type Object struct {
	// Kind is the type of the object: "chan", "sync.Mutex", "sync.RWMutex",
	// "sync.WaitGroup", "sync.Cond" or "semaphore". If the core does not name the
	// object, or there is none, it is the state of the goroutines: "sleep". Descriptors are
	// one object if they are alike: "TCP to 10.0.0.9:5432"; and so are system calls:
	// "system call read: pipe".
	Kind    string
	Addr    memory.Address // 0 if the object is not known
	Path    string         // of an annotated variable that leads to it, empty if there is none
	Channel *Channel       // nil if it is not a channel
	Waiters []Waiter       // at least one

	// Others are goroutines that may let the others go on: the runtime does not record
	// who holds a lock or will send on a channel. Those with a deferred call come first.
	// There are at most maxOthers.
	Others []Other

	more   bool             // there are more Others
	within []memory.Address // the structs that it is a field of
}

// Type returns the type of the object as the program writes it, or its kind.
func (o *Object) Type() string {
	if o.Channel != nil {
		return "chan " + o.Channel.Elem
	}
	return o.Kind
}

// releasable reports whether the goroutine with a deferred call has to release the object:
// others may send on a channel or signal a condition too.
func (o *Object) releasable() bool { return o.Lock() || o.Kind == waitGroup }

// Lock reports whether the object is a lock.
func (o *Object) Lock() bool { return o.Kind == mutex || o.Kind == rwMutex }

// Outside reports whether the object is outside of the program: connections to an address,
// or what a system call is about.
func (o *Object) Outside() bool {
	if call, ok := strings.CutPrefix(o.Kind, systemCall); ok {
		return strings.Contains(call, ": ")
	}
	return o.Waiters[0].Descriptor >= 0 && (strings.HasPrefix(o.Kind, "TCP to ") || strings.HasPrefix(o.Kind, "UDP to "))
}

// Leaked reports whether all goroutines that wait for the object wait for ever.
func (o *Object) Leaked() bool {
	return !slices.ContainsFunc(o.Waiters, func(w Waiter) bool { return !w.Leaked() })
}

// An Other is a goroutine that may let those go on that wait for an object.
type Other struct {
	*stacks.Goroutine
	Deferred bool   // a deferred call of it unlocks the lock, which it usually holds, or counts down the wait group
	Uses     string // the function of its stack whose code uses the object, a package variable; "" if it has a pointer

	// Upgrades is set if the goroutine waits to lock an RWMutex that readers have, and the
	// function that waits has deferred an unlock for reading: unless it has unlocked by hand,
	// it waits for itself.
	Upgrades bool
	// Otherwise the goroutine has a pointer to the object, or to a struct that it is a
	// field of, on its stack.
}

// A Channel is the state of a channel.
type Channel struct {
	Elem     string // type of its elements
	Len, Cap uint64
	Closed   bool
	Redacted bool // an exclusion covers it: Len, Cap and Closed are not known

	// Left is the time until its timer fires, 0 if it has none or that is not known.
	Left time.Duration
}

// String returns the state of the channel, "" if c is nil.
func (c *Channel) String() string {
	switch {
	case c == nil:
		return ""
	case c.Redacted:
		return "redacted"
	case c.Closed:
		return fmt.Sprintf("%d of %d, closed", c.Len, c.Cap)
	case c.Left > 0:
		return fmt.Sprintf("%d of %d, its timer fires in %s", c.Len, c.Cap, duration.Roughly(c.Left))
	}
	return fmt.Sprintf("%d of %d", c.Len, c.Cap)
}

// A Waiter is a goroutine that waits for an object.
type Waiter struct {
	*stacks.Goroutine
	Action Action
	Select bool // in a select statement, perhaps for other objects too

	// Descriptor is for what it waits, -1 if it does not wait for one or that is not known.
	Descriptor int
}

// An Action is what a goroutine waits to do.
type Action string

// The actions.
const (
	Send     Action = "send"
	Receive  Action = "receive"
	Lock     Action = "lock"
	ReadLock Action = "read-lock"
	Wait     Action = "wait"
)

// A semaphore is what the state of a goroutine shows of the object of package sync for
// which it waits.
type semaphore struct {
	state  string
	kind   string
	action Action
}

var semaphores = []semaphore{
	{"sync.Mutex.Lock", mutex, Lock},
	{rwMutexLock, rwMutex, Lock},
	{"sync.RWMutex.RLock", rwMutex, ReadLock},
	{"sync.WaitGroup.Wait", waitGroup, Wait},
	{"sync.Cond.Wait", "sync.Cond", Wait},
	{"semacquire", "semaphore", Wait},
}

// Kinds that have a part in more than one place here.
const (
	channel = "chan"
	mutex   = "sync.Mutex"
	rwMutex = "sync.RWMutex"

	waitGroup = "sync.WaitGroup"

	rwMutexLock = "sync.RWMutex.Lock" // a state: a writer waits until the readers have unlocked

	listening  = ", listening"  // ends the name of a descriptor
	systemCall = "system call " // begins the name of one
)

// Read returns what the goroutines of a list wait for: the objects for which most
// of them wait first. It leaves out the runtime's own goroutines and those that do
// not wait. A goroutine in a select statement is with each of its channels.
//
// Go 1.25 and earlier do not record the object of a goroutine that waits in
// package sync: it is with an Object that has no address.
func Read(p *inspect.Program, list []stacks.Goroutine) ([]Object, error) {
	waits := map[uint64][]note.Wait{}
	if desc, ok := p.Core.Note(note.Owner, note.TypeWaits); ok {
		all, err := note.DecodeWaits(desc)
		if err != nil {
			return nil, err
		}
		for _, w := range all {
			waits[w.Goroutine] = append(waits[w.Goroutine], w)
		}
	}
	r := reader{core: p.Core, index: map[key]int{}}
	for i := range list {
		if g := &list[i]; (g.Blocked || inSystemCall(waits[g.ID])) && !g.System() {
			r.add(g, waits[g.ID])
		}
	}
	r.mergeLocks()
	nameObjects(p, r.objects)
	findOthers(p, r.objects, list)
	slices.SortStableFunc(r.objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(len(b.Waiters), len(a.Waiters)), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Addr, b.Addr))
	})
	return r.objects, nil
}

// inSystemCall reports whether a goroutine is in a system call that is known. What the others
// that are in one do, in C for example, is not known: they may not wait.
func inSystemCall(waits []note.Wait) bool {
	return len(waits) > 0 && waits[0].Flags&note.WaitSystemCall != 0
}

type key struct {
	kind string
	addr memory.Address
}

// A reader collects objects.
type reader struct {
	core    *inspect.Core
	objects []Object
	index   map[key]int
}

// add adds a goroutine to the objects that it waits for.
func (r *reader) add(g *stacks.Goroutine, waits []note.Wait) {
	known := false
	for _, w := range waits {
		known = r.addWait(g, &w) || known
	}
	if !known {
		o := r.object(g.State, 0)
		o.Waiters = append(o.Waiters, Waiter{Goroutine: g, Action: Wait, Descriptor: -1})
	}
}

// addWait adds a goroutine to one object. It reports whether that is known.
func (r *reader) addWait(g *stacks.Goroutine, w *note.Wait) bool {
	if w.Flags&note.WaitSystemCall != 0 {
		o := r.object(systemCall+w.Elem, 0)
		waiter := Waiter{Goroutine: g, Action: Wait, Descriptor: -1}
		if w.Flags&note.WaitDescriptor != 0 {
			waiter.Descriptor = int(w.Len)
		}
		o.Waiters = append(o.Waiters, waiter)
		return true
	}
	if w.Flags&note.WaitDescriptor != 0 {
		o := r.object(cmp.Or(w.Elem, g.State), 0)
		waiter := Waiter{Goroutine: g, Action: Receive, Descriptor: int(w.Len)}
		switch {
		case w.Flags&note.WaitSend != 0:
			waiter.Action = Send
		case w.Elem == "" || strings.HasSuffix(w.Elem, listening):
			waiter.Action = Wait
		}
		o.Waiters = append(o.Waiters, waiter)
		return true
	}
	if w.Flags&note.WaitChannel != 0 {
		o := r.object(channel, memory.Address(w.Object))
		o.Channel = &Channel{Elem: w.Elem, Len: w.Len, Cap: w.Cap, Closed: w.Flags&note.WaitClosed != 0, Redacted: w.Flags&note.WaitRedacted != 0, Left: r.core.Until(w.Fires)}
		waiter := Waiter{Goroutine: g, Action: Receive, Select: w.Flags&note.WaitSelect != 0, Descriptor: -1}
		if w.Flags&note.WaitSend != 0 {
			waiter.Action = Send
		}
		o.Waiters = append(o.Waiters, waiter)
		return true
	}
	for _, s := range semaphores {
		if offset, _ := goroutine.SemaphoreOffset(s.state); strings.HasPrefix(g.State, s.state) && w.Object > offset {
			o := r.object(s.kind, memory.Address(w.Object-offset))
			o.Waiters = append(o.Waiters, Waiter{Goroutine: g, Action: s.action, Descriptor: -1})
			return true
		}
	}
	return false
}

// object returns the object at an address. The result is valid until the next
// call.
func (r *reader) object(kind string, addr memory.Address) *Object {
	at, ok := r.index[key{kind, addr}]
	if !ok {
		at = len(r.objects)
		r.index[key{kind, addr}] = at
		r.objects = append(r.objects, Object{Kind: kind, Addr: addr})
	}
	return &r.objects[at]
}

// mergeLocks joins an RWMutex and the Mutex in its first bytes, for which its
// second writer waits.
func (r *reader) mergeLocks() {
	for i := range r.objects {
		o := &r.objects[i]
		if at, ok := r.index[key{rwMutex, o.Addr}]; ok && o.Kind == mutex {
			outer := &r.objects[at]
			outer.Waiters, o.Waiters = append(outer.Waiters, o.Waiters...), nil
		}
	}
	r.objects = slices.DeleteFunc(r.objects, func(o Object) bool { return len(o.Waiters) == 0 })
}
