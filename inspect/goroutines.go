package inspect

import (
	"io"
	"time"

	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// A Goroutine is a goroutine of the program.
type Goroutine struct {
	ID      uint64
	Parent  uint64            // that started it, 0 if it is not known
	State   string            // as the runtime's tracebacks name it: "chan receive", "running"
	Waited  time.Duration     // at least; 0 if it does not wait or that is not known
	Left    time.Duration     // until it has slept enough; 0 if it does not sleep or that is not known
	Locked  bool              // to its thread
	System  bool              // the runtime's own
	Failed  bool              // it ended the program
	Frames  []Frame           // its calls, the innermost first; shared by goroutines: do not change them
	Created *Frame            // the go statement that started it; nil if it is not known
	Labels  map[string]string // of the profiler, if the core was captured with them
	Problem string            // why Frames end early, "" if they do not
}

// A Frame is a function call.
type Frame struct {
	Function string // with the import path of its package
	File     string
	Line     int
	PC       uint64
	Inlined  bool // into the frame that follows

	// Omitted is the number of calls between this one and the frame that follows that are
	// left out, because the stack is too deep or the core has only its two ends. Missing is
	// how many bytes of the stack the core lacks there.
	Omitted, Missing uint64
}

// A Group is the goroutines that have the same stack, but for what the runtime does below
// it.
type Group struct {
	Goroutines        []*Goroutine // at least one
	Frames            []Frame      // of the program, which all of them have, the innermost first
	System            bool         // the runtime's own
	Shortest, Longest time.Duration
}

// Goroutines returns the goroutines, the failed one first, the others by their IDs, and how
// many of the program's could not be read.
func (c *Core) Goroutines() (list []*Goroutine, missing int, err error) {
	read, missing, err := stacks.Read(c.prog)
	return goroutines(read).list, missing, err
}

// Groups returns the goroutines in groups of equal stacks: that of the failed goroutine
// first, then the largest, the runtime's own last.
func (c *Core) Groups() ([]Group, error) {
	read, _, err := stacks.Read(c.prog)
	if err != nil {
		return nil, err
	}
	return goroutines(read).groups(stacks.Groups(read)), nil
}

// WriteProfile writes the goroutines as a gzip-compressed profile that `go tool pprof`
// opens. States and labels are tags.
func (c *Core) WriteProfile(w io.Writer) error {
	read, _, err := stacks.Read(c.prog)
	if err != nil {
		return err
	}
	return stacks.Profile(w, c.prog, read)
}

// An Object is what goroutines wait for.
type Object struct {
	// Kind is the type of the object: "chan", "sync.Mutex", "sync.RWMutex",
	// "sync.WaitGroup", "sync.Cond" or "semaphore". If the core does not name the object,
	// or there is none, it is the state of the goroutines: "sleep". Descriptors are one
	// object if they are alike: "TCP to 10.0.0.9:5432"; and so are system calls: "system call
	// read: pipe".
	Kind    string
	Address uint64   // 0 if the object is not known
	Path    string   // of an annotated variable that leads to it, "" if there is none
	Channel *Channel // nil if it is not a channel
	Waiters []Waiter // at least one

	// Others may let the others go on: a deferred call of theirs unlocks the lock or counts
	// down the wait group, or they do not wait for the object and are in a function that
	// uses it, or have a pointer to it on their stacks. Those with a deferred call come
	// first. The list is cut at a few.
	Others []Other
}

// An Other is a goroutine that may let those go on that wait for an object.
type Other struct {
	*Goroutine
	Deferred bool   // a deferred call of it unlocks the lock, which it usually holds, or counts down the wait group
	Uses     string // the function of its stack whose code uses the object, a package variable
}

// A Deadlock is goroutines that wait for each other. It is certain if a deferred call of each
// goroutine of the cycle unlocks the lock, or counts down the wait group, for which the one
// before it waits. Otherwise all goroutines that use the object or have a pointer to it wait
// for each other.
type Deadlock struct {
	Cycle   []Step // a shortest cycle; the last goroutine waits for the first
	Certain bool
	Members int // goroutines that wait for each other
	Blocked int // more goroutines that wait for them
}

// A Step is a goroutine of a deadlock, and the object for which it waits.
type Step struct {
	Waiter
	Object   Object
	Deferred bool // a deferred call of the goroutine of the next step unlocks the lock, or counts down the wait group
}

// A Channel is the state of a channel.
type Channel struct {
	Elem     string // type of its elements
	Len, Cap int
	Closed   bool
	Redacted bool // an exclusion covers it: Len, Cap and Closed are not known

	Left time.Duration // until its timer fires, 0 if it has none or that is not known
}

// A Waiter is a goroutine that waits for an object.
type Waiter struct {
	*Goroutine
	Action string // send, receive, lock, read-lock or wait
	Select bool   // in a select statement, perhaps for other objects too

	Descriptor int // for which it waits, -1 if it does not wait for one or that is not known
}

// Waits returns what the goroutines wait for: the objects for which most of them wait
// first. Goroutines of the runtime are left out. A goroutine in a select statement is with
// each of its channels.
func (c *Core) Waits() ([]Object, error) {
	read, _, err := stacks.Read(c.prog)
	if err != nil {
		return nil, err
	}
	all := goroutines(read)
	objects, err := waits.Read(c.prog, read)
	return all.objects(objects), err
}

// Deadlocks returns the goroutines that wait for each other: the certain deadlocks first,
// then those of the most goroutines.
func (c *Core) Deadlocks() ([]Deadlock, error) {
	read, _, err := stacks.Read(c.prog)
	if err != nil {
		return nil, err
	}
	objects, err := waits.Read(c.prog, read)
	return goroutines(read).deadlocks(waits.Deadlocks(objects)), err
}

// made is goroutines as this package returns them.
type made struct {
	list []*Goroutine
	byID map[uint64]*Goroutine
}

func goroutines(read []stacks.Goroutine) *made {
	m := &made{byID: map[uint64]*Goroutine{}}
	shared := map[*stacks.Frame][]Frame{} // by the first frame: equal stacks share them
	for i := range read {
		g := &read[i]
		out := &Goroutine{
			ID: g.ID, Parent: g.Parent, State: g.State, Waited: g.Waited, Left: g.Left, Locked: g.Locked, System: g.System(), Failed: g.Failed,
			Frames: frames(g.Frames, shared), Problem: g.Problem,
		}
		if g.Created != nil {
			created := frame(g.Created)
			out.Created = &created
		}
		for _, l := range g.Labels {
			if out.Labels == nil {
				out.Labels = map[string]string{}
			}
			out.Labels[l.Key] = l.Value
		}
		m.list = append(m.list, out)
		m.byID[g.ID] = out
	}
	return m
}

func frame(f *stacks.Frame) Frame {
	return Frame{Function: f.Function, File: f.File, Line: f.Line, PC: uint64(f.PC), Inlined: f.Inlined, Omitted: f.Omitted.Calls, Missing: f.Omitted.Bytes}
}

func frames(read []stacks.Frame, shared map[*stacks.Frame][]Frame) []Frame {
	if len(read) == 0 {
		return nil
	}
	if known := shared[&read[0]]; len(known) == len(read) {
		return known
	}
	out := make([]Frame, len(read))
	for i := range read {
		out[i] = frame(&read[i])
	}
	shared[&read[0]] = out
	return out
}

func (m *made) groups(read []stacks.Group) []Group {
	var out []Group
	for i := range read {
		g := &read[i]
		group := Group{System: g.System, Frames: frames(g.Frames, map[*stacks.Frame][]Frame{})}
		group.Shortest, group.Longest = g.Waited()
		for _, member := range g.Goroutines {
			group.Goroutines = append(group.Goroutines, m.byID[member.ID])
		}
		out = append(out, group)
	}
	return out
}

func (m *made) objects(read []waits.Object) []Object {
	var out []Object
	for i := range read {
		o := &read[i]
		object := Object{Kind: o.Kind, Address: uint64(o.Addr), Path: o.Path}
		if c := o.Channel; c != nil {
			object.Channel = &Channel{Elem: c.Elem, Len: int(c.Len), Cap: int(c.Cap), Closed: c.Closed, Redacted: c.Redacted, Left: c.Left}
		}
		for _, w := range o.Waiters {
			object.Waiters = append(object.Waiters, Waiter{m.byID[w.ID], string(w.Action), w.Select, w.Descriptor})
		}
		for _, g := range o.Others {
			object.Others = append(object.Others, Other{m.byID[g.ID], g.Deferred, g.Uses})
		}
		out = append(out, object)
	}
	return out
}

func (m *made) deadlocks(read []waits.Deadlock) []Deadlock {
	var out []Deadlock
	for i := range read {
		d := &read[i]
		deadlock := Deadlock{Certain: d.Certain, Members: d.Members, Blocked: d.Blocked}
		for k := range d.Cycle {
			s := &d.Cycle[k]
			waiter := Waiter{m.byID[s.ID], string(s.Action), s.Select, -1}
			deadlock.Cycle = append(deadlock.Cycle, Step{waiter, m.objects([]waits.Object{*s.Object})[0], s.Deferred})
		}
		out = append(out, deadlock)
	}
	return out
}
