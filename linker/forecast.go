package linker

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// ForecastOptions are the options of the capture to forecast.
type ForecastOptions struct {
	// Depth is the number of pointers to follow from an entry that sets no depth.
	Depth int
	// Budget limits the bytes of a capture in total; 0 means no limit.
	Budget uint64
}

// A Forecast has the smallest and the largest size of a capture's regions: the
// annotated data without the other parts of a core (headers, goroutines, the
// runtime's variables).
type Forecast struct {
	Entries []EntryForecast `json:"entries"`
	Total   Bounds          `json:"total"`
}

// An EntryForecast is the forecast of one entry.
type EntryForecast struct {
	Package string `json:"package"`
	Name    string `json:"name"`
	ID      string `json:"id"`
	Type    string `json:"type,omitempty"`
	Depth   int    `json:"depth"` // the effective depth
	Bounds
}

// Bounds are a smallest and a largest number of bytes.
type Bounds struct {
	Least uint64 `json:"least,string"`
	// Worst is valid only if Unbounded is false.
	Worst     uint64 `json:"worst,omitempty,string"`
	Unbounded bool   `json:"unbounded,omitempty"`
	// Why names the value without a limit, even if a budget limits it.
	Why string `json:"why,omitempty"`
}

// Exceeds reports whether the worst case is more than limit bytes.
func (b Bounds) Exceeds(limit uint64) bool { return b.Unbounded || b.Worst > limit }

// Forecast computes the bounds from the types. The variable itself is exact.
// The depth bounds what pointers lead to if all types on the way have a fixed
// size; the budget bounds the rest.
func (p *Program) Forecast(o ForecastOptions) (*Forecast, error) {
	if p.types == nil {
		return nil, fmt.Errorf("forecast: types are not available: %w", p.degrade)
	}
	f := &Forecast{Entries: []EntryForecast{}}
	r := reacher{memo: map[reachKey]reach{}}
	var fixed []memory.Range
	for _, e := range p.entries {
		depth := o.Depth
		if e.HasDepth {
			depth = int(e.Depth)
		}
		ef := EntryForecast{Package: e.Package, Name: e.Name, ID: idText(e.ID), Type: e.typeName(), Depth: depth}
		ef.Bounds = r.entry(e, depth)
		f.Entries = append(f.Entries, ef)
		fixed = append(fixed, memory.RangeOf(e.Addr, ef.Least))
		f.Total.Worst = add(f.Total.Worst, ef.Worst)
		if ef.Unbounded && !f.Total.Unbounded {
			f.Total.Unbounded, f.Total.Why = true, e.String()+": "+ef.Why
		}
	}
	// Two entries may overlap in one variable.
	f.Total.Least = memory.RangesOf(fixed...).Size()
	if o.Budget > 0 {
		f.Total.Least = min(f.Total.Least, o.Budget)
		if f.Total.Exceeds(o.Budget) {
			f.Total.Worst, f.Total.Unbounded = o.Budget, false
		}
	}
	if f.Total.Unbounded {
		f.Total.Worst = 0
	}
	return f, nil
}

// A reacher computes how much memory pointers may lead to.
type reacher struct {
	memo map[reachKey]reach
}

type reachKey struct {
	t     *gotypes.Type
	depth int
}

// A reach is the largest number of bytes that the pointers of a value lead to.
type reach struct {
	bytes uint64
	why   string // if not empty, there is no bound
}

// unlimited is a depth without a limit.
const unlimited = -1

// entry returns an entry's bounds.
func (r *reacher) entry(e *entry, depth int) Bounds {
	b := Bounds{Least: e.Size, Worst: e.Size}
	if !e.SizeKnown {
		b = Bounds{Unbounded: true, Why: "its type is not known"}
	} else if e.Type != nil && depth != 0 {
		if depth < 0 {
			depth = unlimited
		}
		rest := r.pointedTo(e.Type, depth, 0)
		b.Worst = add(b.Worst, rest.bytes)
		if rest.why != "" || b.Worst == math.MaxUint64 {
			b.Unbounded, b.Why = true, cmp.Or(rest.why, "more than can be counted")
		}
	}
	if e.Budget > 0 {
		b.Least = min(b.Least, e.Budget)
		if b.Exceeds(e.Budget) {
			b.Worst, b.Unbounded = e.Budget, false
		}
	}
	if b.Unbounded {
		b.Worst = 0
	}
	return b
}

// pointedTo returns the reach of the pointers in one value of type t if depth
// more pointers may be followed.
func (r *reacher) pointedTo(t *gotypes.Type, depth, nesting int) reach {
	if depth == 0 || !t.HasPointers() {
		return reach{}
	}
	const maxNesting = 10000
	if nesting > maxNesting {
		return reach{why: fmt.Sprintf("%v leads on without end", t)}
	}
	key := reachKey{t, depth}
	if known, ok := r.memo[key]; ok {
		return known
	}
	// The type recurs at the same depth: possible only without a limit.
	r.memo[key] = reach{why: fmt.Sprintf("%v may lead to itself", t)}
	found := r.compute(t, depth, nesting+1)
	r.memo[key] = found
	return found
}

func (r *reacher) compute(t *gotypes.Type, depth, nesting int) reach {
	elem, err := t.Elem()
	switch t.Kind {
	case gotypes.Pointer:
		if err != nil {
			return reach{why: fmt.Sprintf("%v: %v", t, err)}
		}
		return r.pointee(elem, depth, nesting)
	case gotypes.Slice:
		if err == nil && elem.Size == 0 {
			return reach{}
		}
		return reach{why: "a slice may have any length"}
	case gotypes.String:
		return reach{why: "a string may have any length"}
	case gotypes.Map:
		return reach{why: "a map may have any size"}
	case gotypes.Chan:
		return reach{why: "a channel may have any size"}
	case gotypes.Interface:
		return reach{why: "an interface may have a value of any size"}
	case gotypes.Func:
		return reach{why: "a function may have captured anything"}
	case gotypes.Array:
		if err != nil {
			return reach{why: fmt.Sprintf("%v: %v", t, err)}
		}
		one := r.pointedTo(elem, depth, nesting)
		one.bytes = times(one.bytes, t.Len)
		return one
	case gotypes.Struct:
		return r.fields(t, depth, nesting)
	}
	return reach{} // unsafe.Pointer is not followed
}

// fields sums the reach of a struct's fields.
func (r *reacher) fields(t *gotypes.Type, depth, nesting int) reach {
	if to, ok := typedPointer(t); ok {
		return r.pointee(to, depth, nesting)
	}
	if t.PkgPath == "internal/sync" && strings.HasPrefix(t.Name(), "indirect[") {
		return reach{why: "a map may have any size"}
	}
	var sum reach
	for _, f := range t.Fields {
		part := r.pointedTo(f.Type, depth, nesting)
		sum.bytes = add(sum.bytes, part.bytes)
		if sum.why == "" && part.why != "" {
			// Prefix the path to the value, as long as it stays readable.
			if sum.why = part.why; len(part.why) < 200 {
				sum.why = fmt.Sprintf("%s.%s: %s", t, f.Name, part.why)
			}
		}
	}
	return sum
}

// pointee returns the size of a value that a pointer leads to, plus the reach
// of that value.
func (r *reacher) pointee(t *gotypes.Type, depth, nesting int) reach {
	if depth != unlimited {
		depth--
	}
	rest := r.pointedTo(t, depth, nesting)
	rest.bytes = add(rest.bytes, t.Size)
	return rest
}

// typedPointer recognizes the structs that have an unsafe.Pointer to a known
// type: sync/atomic.Pointer[T] and weak.Pointer[T], which have an array [0]*T
// before it.
func typedPointer(t *gotypes.Type) (*gotypes.Type, bool) {
	if t.PkgPath != "sync/atomic" && t.PkgPath != "weak" || !strings.HasPrefix(t.Name(), "Pointer[") || len(t.Fields) == 0 {
		return nil, false
	}
	array := t.Fields[0].Type
	if array.Kind != gotypes.Array {
		return nil, false
	}
	ptr, err := array.Elem()
	if err != nil || ptr.Kind != gotypes.Pointer {
		return nil, false
	}
	to, err := ptr.Elem()
	return to, err == nil
}

// add and times saturate at the highest number.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func times(a, n uint64) uint64 {
	if n != 0 && a > math.MaxUint64/n {
		return math.MaxUint64
	}
	return a * n
}
