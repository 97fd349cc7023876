package page

import (
	"strings"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
)

// A heap is what keeps the memory of the program alive, in bytes.
type heap struct {
	Objects  uint64     `json:"objects"`
	Bytes    uint64     `json:"bytes"`
	Shared   uint64     `json:"shared"`
	Garbage  uint64     `json:"garbage"`
	Unknown  uint64     `json:"unknown"`
	Free     uint64     `json:"free"`
	Stacks   uint64     `json:"stacks"`
	Leaks    []leaks    `json:"leaks,omitempty"`
	Partial  bool       `json:"partial,omitempty"`
	Problems []string   `json:"problems,omitempty"`
	Roots    []heapRoot `json:"roots"`
}

// Leaks are goroutines that wait for ever and began with one function.
type leaks struct {
	Function string   `json:"function"`
	State    string   `json:"state"`
	Count    int      `json:"count"`
	IDs      []string `json:"ids"`
}

// A heapRoot is a root, with the paths from it that the report has.
type heapRoot struct {
	Name     string     `json:"name"`
	Retained uint64     `json:"retained"`
	Objects  uint64     `json:"objects"`
	Paths    []heapPath `json:"paths,omitempty"`
}

// A heapPath is a path, and the objects that only its root keeps alive.
type heapPath struct {
	Steps     []string `json:"steps"`
	Type      int      `json:"type"`
	Objects   uint64   `json:"objects"`
	Exclusive uint64   `json:"exclusive"`
	Retained  uint64   `json:"retained"`
}

// heap returns what the core records of the heap, nil if it records nothing.
func (b *builder) heap(c *inspect.Core) (*heap, error) {
	r, err := heapreport.Recorded(c)
	if r == nil || err != nil {
		return nil, err
	}
	h := &heap{
		Objects: r.Heap.Objects, Bytes: r.Heap.Bytes, Shared: r.Heap.SharedBytes, Garbage: r.Heap.GarbageBytes, Unknown: r.Heap.UnknownBytes,
		Free: r.Heap.Free, Stacks: r.Heap.Stacks, Partial: r.Partial, Problems: r.Problems, Roots: []heapRoot{},
	}
	if r.Leaks != nil {
		for _, g := range r.Leaks.Groups {
			h.Leaks = append(h.Leaks, leaks{g.Function, g.State, g.Count, g.IDs[:min(len(g.IDs), 1)]})
		}
	}
	type key struct{ kind, name string }
	roots := map[key]int{}
	for i := range r.Roots {
		root := &r.Roots[i]
		roots[key{root.Kind, root.Name}] = len(h.Roots)
		h.Roots = append(h.Roots, heapRoot{Name: root.Label(), Retained: root.Retained, Objects: root.RetainedObjects})
	}
	for i := range r.Paths {
		p := &r.Paths[i]
		at, ok := roots[key{p.Kind, p.Root}]
		if !ok {
			continue
		}
		_, steps, _ := strings.Cut(p.Path, p.Root)
		root := &h.Roots[at]
		root.Paths = append(root.Paths, heapPath{Steps: stepsOf(steps), Type: b.index(p.Type), Objects: p.Objects, Exclusive: p.Exclusive, Retained: p.Retained})
	}
	return h, nil
}

// stepsOf divides the rest of a path, .field[*].(type).field, into its steps.
func stepsOf(rest string) []string {
	steps := []string{}
	start, depth := 0, 0
	for i, r := range rest {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case '.', '[':
			if depth == 0 && i > start {
				steps = append(steps, rest[start:i])
				start = i
			}
		}
	}
	if start < len(rest) {
		steps = append(steps, rest[start:])
	}
	return steps
}
