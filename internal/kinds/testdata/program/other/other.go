// Package other has variables of types that package main also names.
package other

import "sync/atomic"

// Point has the name that a type of main has too.
type Point struct {
	Lat, Lon float32
	label    string
}

// Pair is generic over two types.
type Pair[K comparable, V any] struct {
	Key K
	Val V
}

// Tree is generic and recursive.
type Tree[T any] struct {
	Left, Right *Tree[T]
	Value       T
}

var (
	Here    = Point{48.25, 16.5, "here"}
	Pairs   = []Pair[string, int]{{"one", 1}, {"two", 2}}
	Root    = &Tree[string]{Left: &Tree[string]{Value: "l"}, Right: &Tree[string]{Value: "r", Left: &Tree[string]{Value: "rl"}}, Value: "root"}
	Counter atomic.Int64
	hidden  = map[Point]*Point{Here: &Here}
)

// Vars lists this package's variables.
var Vars = []struct {
	Name string
	Var  any
}{
	{"kinds/other.Here", &Here},
	{"kinds/other.Pairs", &Pairs},
	{"kinds/other.Root", &Root},
	{"kinds/other.Counter", &Counter},
	{"kinds/other.hidden", &hidden},
}

func init() { Counter.Store(42) }
