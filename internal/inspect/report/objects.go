package report

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// A Pointer is a word that is the address of an annotated object.
type Pointer struct {
	Addr memory.Address
	Path string // an expression that has this value: queue.byID[16], or &queue.head
}

// Bounds of what is searched of a region, and of what a call shows.
const (
	maxValues  = 1 << 18
	maxKey     = 64
	maxObjects = 4
)

// nameObjects finds the annotated objects to which words of calls point.
func nameObjects(prog *inspect.Program, calls []Call) {
	unnamed := map[memory.Address]string{}
	for _, c := range calls {
		for _, w := range c.words {
			unnamed[w] = ""
		}
	}
	delete(unnamed, 0)
	left := len(unnamed)
	visit := func(path *paths.Path, v *value.Value) bool {
		if name, ok := unnamed[v.Addr]; ok && name == "" && v.Absent == "" {
			unnamed[v.Addr] = expression(path, v)
			left--
		}
		return true
	}
	paths.All(prog, value.Limits{Elements: -1, Bytes: maxKey, Values: maxValues}, visit, func() bool { return left == 0 })
	for i := range calls {
		c := &calls[i]
		for _, w := range c.words {
			p := Pointer{w, unnamed[w]}
			if p.Path != "" && len(c.Objects) < maxObjects && !slices.Contains(c.Objects, p) {
				c.Objects = append(c.Objects, p)
			}
		}
	}
}

// expression returns the expression that is a pointer to a value.
func expression(path *paths.Path, v *value.Value) string {
	switch v.Shape {
	case value.Pointer, value.Map, value.Chan, value.Func:
		return path.String()
	}
	return "&" + path.String()
}
