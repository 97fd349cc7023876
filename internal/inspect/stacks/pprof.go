package stacks

import (
	"fmt"
	"io"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
)

// Profile writes goroutines as a profile in pprof's format, gzip-compressed: as
// the goroutine profile of package runtime/pprof, with the runtime's frames. The
// states and labels of goroutines are the tags of its samples.
func Profile(w io.Writer, p *inspect.Program, list []Goroutine) error {
	b := profileBuilder{
		p: &profile.Profile{
			SampleType: []*profile.ValueType{{Type: "goroutine", Unit: "count"}},
			PeriodType: &profile.ValueType{Type: "goroutine", Unit: "count"}, Period: 1,
		},
		functions: map[string]*profile.Function{}, locations: map[memory.Address]*profile.Location{},
		stacks: perStack[[]*profile.Location]{}, samples: map[string]*profile.Sample{},
	}
	mapping := &profile.Mapping{ID: 1, HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}
	if c := p.Core.Capture; c != nil {
		b.p.TimeNanos = c.When.UnixNano()
		mapping.File, mapping.BuildID = c.Program, c.GNUBuildID
	}
	b.p.Mapping = []*profile.Mapping{mapping}
	for i := range list {
		b.add(&list[i])
	}
	if err := b.p.CheckValid(); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return b.p.Write(w)
}

type profileBuilder struct {
	p         *profile.Profile
	functions map[string]*profile.Function
	locations map[memory.Address]*profile.Location
	stacks    perStack[[]*profile.Location]
	samples   map[string]*profile.Sample
}

func (b *profileBuilder) add(g *Goroutine) {
	if len(g.Frames) == 0 {
		return
	}
	var key strings.Builder
	fmt.Fprintf(&key, "%p\n%s", &g.Frames[0], g.State)
	for _, l := range g.Labels {
		fmt.Fprintf(&key, "\n%q=%q", l.Key, l.Value)
	}
	s, ok := b.samples[key.String()]
	if !ok {
		s = &profile.Sample{
			Location: b.stacks.get(g.Frames, b.stack), Value: []int64{0}, Label: map[string][]string{"state": {g.State}},
		}
		for _, l := range g.Labels {
			s.Label[l.Key] = append(s.Label[l.Key], l.Value)
		}
		b.samples[key.String()] = s
		b.p.Sample = append(b.p.Sample, s)
	}
	s.Value[0]++
}

// stack returns the locations of a stack. Calls that were inlined are lines of the
// location that they were inlined into. Omitted calls are one location at address 0:
// otherwise a call would appear to be made by one that did not make it.
func (b *profileBuilder) stack(frames []Frame) []*profile.Location {
	var out []*profile.Location
	for len(frames) > 0 {
		n := 1
		for n < len(frames) && frames[n-1].Inlined {
			n++
		}
		out = append(out, b.location(frames[:n]))
		if frames[n-1].Omitted != (Omission{}) {
			out = append(out, b.location([]Frame{{Function: "omitted calls"}}))
		}
		frames = frames[n:]
	}
	return out
}

func (b *profileBuilder) location(calls []Frame) *profile.Location {
	pc := calls[0].PC
	if loc, ok := b.locations[pc]; ok {
		return loc
	}
	loc := &profile.Location{ID: uint64(len(b.p.Location) + 1), Mapping: b.p.Mapping[0], Address: uint64(pc)}
	for i := range calls {
		loc.Line = append(loc.Line, profile.Line{Function: b.function(&calls[i]), Line: int64(calls[i].Line)})
	}
	b.locations[pc] = loc
	b.p.Location = append(b.p.Location, loc)
	return loc
}

func (b *profileBuilder) function(f *Frame) *profile.Function {
	if fn, ok := b.functions[f.Function]; ok {
		return fn
	}
	fn := &profile.Function{ID: uint64(len(b.p.Function) + 1), Name: f.Function, SystemName: f.Function, Filename: f.File}
	b.functions[f.Function] = fn
	b.p.Function = append(b.p.Function, fn)
	return fn
}
