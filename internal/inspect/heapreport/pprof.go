package heapreport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/pprof/profile"
)

// The sample types of a profile, in their order.
const (
	inuseSpace = iota
	inuseObjects
	retained
	retainedObjects
)

var sampleTypes = []*profile.ValueType{
	{Type: "inuse_space", Unit: "bytes"},
	{Type: "inuse_objects", Unit: "count"},
	{Type: "retained", Unit: "bytes"},
	{Type: "retained_objects", Unit: "count"},
}

// Labels of a sample that pprof does not need and Load does.
const (
	labelKind = "kind"
	labelRoot = "root"
)

// Profile writes the report as a profile in pprof's format, gzip-compressed. The
// stack of a sample is the reference path: its root is what keeps the memory, its
// leaf the object. "retained" are the bytes that only this root keeps alive.
func (r *Report) Profile(w io.Writer) error {
	b := builder{p: &profile.Profile{
		SampleType: sampleTypes, DefaultSampleType: "retained", TimeNanos: r.Time.UnixNano(), DurationNanos: int64(r.Stopped),
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}, Period: 1,
		Comments: []string{"program: " + r.Program, "go: " + r.GoVersion},
	}, frames: map[string]*profile.Location{}}
	b.p.Mapping = []*profile.Mapping{{ID: 1, File: r.Program, HasFunctions: true}}
	if len(r.Paths) > 0 {
		for _, p := range r.Paths {
			b.sample(p.Kind, p.Root, p.steps, p.Bytes, p.Objects, p.Exclusive, p.exclusiveObjects)
		}
	} else {
		for _, root := range r.Roots {
			b.sample(root.Kind, root.Name, nil, root.Bytes, root.Objects, root.Retained, root.RetainedObjects)
		}
	}
	if err := b.p.CheckValid(); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return b.p.Write(w)
}

// A builder makes a profile.
type builder struct {
	p      *profile.Profile
	frames map[string]*profile.Location
}

// location returns the frame of a name.
func (b *builder) location(name string) *profile.Location {
	loc, ok := b.frames[name]
	if !ok {
		f := &profile.Function{ID: uint64(len(b.p.Function) + 1), Name: name, SystemName: name}
		loc = &profile.Location{ID: f.ID, Mapping: b.p.Mapping[0], Line: []profile.Line{{Function: f}}}
		b.p.Function = append(b.p.Function, f)
		b.p.Location = append(b.p.Location, loc)
		b.frames[name] = loc
	}
	return loc
}

func (b *builder) sample(kind, root string, steps []string, values ...uint64) {
	s := &profile.Sample{Label: map[string][]string{labelKind: {kind}, labelRoot: {root}}}
	for i := len(steps) - 1; i >= 0; i-- {
		s.Location = append(s.Location, b.location(steps[i]))
	}
	if kind == "goroutine" {
		root = "goroutines of " + root
	}
	s.Location = append(s.Location, b.location(root))
	nonZero := false
	for _, v := range values {
		s.Value = append(s.Value, int64(v))
		nonZero = nonZero || v != 0
	}
	if nonZero {
		b.p.Sample = append(b.p.Sample, s)
	}
}

// maxReport bounds the file that Load reads.
const maxReport = 256 << 20

// Load reads a report that was stored: as JSON, or as a profile, of which only the
// roots come back.
func Load(path string) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxReport+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxReport)
	}
	if head := bytes.TrimLeft(data, " \t\r\n"); len(head) > 0 && head[0] == '{' {
		r := &Report{}
		if err := json.Unmarshal(data, r); err != nil {
			return nil, fmt.Errorf("%s: not a report of meminspect heap --json: %w", path, err)
		}
		if r.GoVersion == "" || r.Roots == nil {
			return nil, fmt.Errorf("%s: not a report of meminspect heap --json: it has no roots", path)
		}
		return r, nil
	}
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, fmt.Errorf("%s: neither a report of meminspect heap --json nor a profile of --pprof: %w", path, err)
	}
	r, err := fromProfile(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// fromProfile adds up the samples of each root.
func fromProfile(p *profile.Profile) (*Report, error) {
	if len(p.SampleType) != len(sampleTypes) || p.SampleType[retained].Type != sampleTypes[retained].Type {
		return nil, fmt.Errorf("not a profile of meminspect heap --pprof: it has no values of type %s", sampleTypes[retained].Type)
	}
	r := &Report{Time: time.Unix(0, p.TimeNanos).UTC(), Roots: []Root{}}
	type key struct{ kind, name string }
	at := map[key]int{}
	for _, s := range p.Sample {
		if len(s.Label[labelKind]) != 1 || len(s.Label[labelRoot]) != 1 {
			return nil, fmt.Errorf("not a profile of meminspect heap --pprof: a sample has no %s", labelRoot)
		}
		k := key{s.Label[labelKind][0], s.Label[labelRoot][0]}
		i, ok := at[k]
		if !ok {
			i = len(r.Roots)
			at[k] = i
			r.Roots = append(r.Roots, Root{Kind: k.kind, Name: k.name})
		}
		root := &r.Roots[i]
		root.Bytes += uint64(s.Value[inuseSpace])
		root.Objects += uint64(s.Value[inuseObjects])
		root.Retained += uint64(s.Value[retained])
		root.RetainedObjects += uint64(s.Value[retainedObjects])
		r.Heap.ReachedBytes += uint64(s.Value[inuseSpace])
		r.Heap.Reached += uint64(s.Value[inuseObjects])
	}
	return r, nil
}
