package page

import (
	"strconv"

	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// A goroutine is a goroutine of a core.
type goroutine struct {
	ID      string  `json:"id"`
	Parent  string  `json:"p,omitempty"`
	State   int     `json:"s"`
	Waited  float64 `json:"w,omitempty"` // seconds
	Group   int     `json:"g"`
	Stack   int     `json:"k"`
	Created int     `json:"c"` // frame, -1 if it is not known
	Labels  string  `json:"l,omitempty"`
	Failed  bool    `json:"f,omitempty"`
	Problem string  `json:"x,omitempty"`
}

// A group is goroutines with the same stack.
type group struct {
	Stack  int  `json:"k"`
	Own    int  `json:"o"` // the frame that names the stack, -1 for a stack without frames
	Count  int  `json:"n"`
	System bool `json:"y,omitempty"`
	Failed bool `json:"f,omitempty"`
}

// An object is what goroutines wait for.
type object struct {
	Kind    string   `json:"kind"`
	Address string   `json:"address,omitempty"`
	Path    string   `json:"path,omitempty"`
	State   string   `json:"state,omitempty"` // of a channel
	Lock    bool     `json:"lock,omitempty"`
	Waiters []waiter `json:"waiters"`
	Others  []other  `json:"others"` // goroutines that may release it
}

// An other is a goroutine that may release an object.
type other struct {
	ID       string `json:"id"`
	Deferred bool   `json:"d,omitempty"` // a deferred call of it unlocks the lock, or counts down the wait group
	Uses     string `json:"u,omitempty"` // the function of its stack whose code uses the object
}

type waiter struct {
	ID     string       `json:"id"`
	Action waits.Action `json:"action"`
	Select bool         `json:"select,omitempty"`
}

// A deadlock is goroutines that wait for each other.
type deadlock struct {
	Certain    bool     `json:"certain,omitempty"`
	Members    int      `json:"n"`
	Blocked    int      `json:"blocked,omitempty"`
	Goroutines []string `json:"goroutines"` // a cycle
	Objects    []string `json:"objects"`    // addresses of what each of them waits for
}

// A stack is calls whose recursion is folded.
type stack struct {
	Frames []int            `json:"f"`           // the innermost first
	After  map[int][]string `json:"a,omitempty"` // what follows a frame, by its index, and is left out
}

// A stackTable has each frame and each stack of a core once.
type stackTable struct {
	*builder
	frames  [][3]int
	stacks  []stack
	byFrame map[[3]int]int
	byFirst map[firstFrame]int // equal stacks share their frames
}

type firstFrame struct {
	frame *stacks.Frame
	n     int // frames of the stack
}

func newStackTable(b *builder) *stackTable {
	return &stackTable{builder: b, frames: [][3]int{}, stacks: []stack{}, byFrame: map[[3]int]int{}, byFirst: map[firstFrame]int{}}
}

func (s *stackTable) frame(f *stacks.Frame) int {
	if f == nil {
		return -1
	}
	key := [3]int{s.index(f.Function), s.index(f.File), f.Line}
	i, ok := s.byFrame[key]
	if !ok {
		i = len(s.frames)
		s.byFrame[key] = i
		s.frames = append(s.frames, key)
	}
	return i
}

// stack returns the index of a stack.
func (s *stackTable) stack(frames []stacks.Frame) int {
	first := firstFrame{n: len(frames)}
	if len(frames) > 0 {
		first.frame = &frames[0]
	}
	if i, ok := s.byFirst[first]; ok {
		return i
	}
	made := stack{Frames: []int{}}
	for i, f := range stacks.FoldFrames(frames) {
		made.Frames = append(made.Frames, s.frame(&f.Call))
		if texts := f.After(); len(texts) > 0 {
			if made.After == nil {
				made.After = map[int][]string{}
			}
			made.After[i] = texts
		}
	}
	s.byFirst[first] = len(s.stacks)
	s.stacks = append(s.stacks, made)
	return len(s.stacks) - 1
}

func (s *stackTable) groups(read []stacks.Group) ([]group, []goroutine) {
	groups, list := []group{}, []goroutine{}
	for i := range read {
		g := &read[i]
		groups = append(groups, group{Stack: s.stack(g.Frames), Own: s.frame(stacks.Caller(g.Frames)), Count: len(g.Goroutines), System: g.System, Failed: g.Failed()})
		for _, member := range g.Goroutines {
			list = append(list, s.goroutine(member, i))
		}
	}
	return groups, list
}

func (s *stackTable) goroutine(g *stacks.Goroutine, group int) goroutine {
	out := goroutine{
		ID: strconv.FormatUint(g.ID, 10), State: s.index(g.State), Waited: g.Waited.Seconds(), Group: group, Stack: s.stack(g.Frames),
		Created: s.frame(g.Created), Failed: g.Failed, Problem: g.Problem,
	}
	if g.Parent != 0 {
		out.Parent = strconv.FormatUint(g.Parent, 10)
	}
	for i, l := range g.Labels {
		if i > 0 {
			out.Labels += " "
		}
		out.Labels += l.Key + "=" + l.Value
	}
	return out
}

func (s *stackTable) objects(read []waits.Object) []object {
	out := []object{}
	for i := range read {
		o := &read[i]
		made := object{Kind: o.Type(), Path: o.Path, State: o.Channel.String(), Waiters: []waiter{}, Lock: o.Lock(), Others: []other{}}
		if o.Addr != 0 {
			made.Address = o.Addr.String()
		}
		for _, w := range o.Waiters {
			made.Waiters = append(made.Waiters, waiter{strconv.FormatUint(w.ID, 10), w.Action, w.Select})
		}
		for _, g := range o.Others {
			made.Others = append(made.Others, other{strconv.FormatUint(g.ID, 10), g.Deferred, g.Uses})
		}
		out = append(out, made)
	}
	return out
}

func deadlocks(read []waits.Deadlock) []deadlock {
	out := []deadlock{}
	for i := range read {
		d := &read[i]
		made := deadlock{Certain: d.Certain, Members: d.Members, Blocked: d.Blocked}
		for k := range d.Cycle {
			made.Goroutines = append(made.Goroutines, strconv.FormatUint(d.Cycle[k].ID, 10))
			made.Objects = append(made.Objects, d.Cycle[k].Object.Addr.String())
		}
		out = append(out, made)
	}
	return out
}

func (s *stackTable) failed(g *report.Goroutine) *failed {
	if g == nil {
		return nil
	}
	out := &failed{ID: strconv.FormatUint(g.ID, 10), State: g.State, Calls: []call{}, Problem: g.Problem}
	for _, folded := range g.Fold() {
		c := &folded.Call
		made := call{Frame: s.frame(&c.Frame), Library: c.Library, Source: c.Source, After: folded.After()}
		for _, o := range c.Objects {
			made.Objects = append(made.Objects, o.Path)
		}
		out.Calls = append(out.Calls, made)
	}
	return out
}
