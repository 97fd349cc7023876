package main

import (
	"fmt"
	"reflect"
)

func newNode(v int) *Node { return &Node{Value: v, Tag: fmt.Sprint("node ", v)} }

func cycle() *Node {
	a, b := newNode(1), newNode(2)
	a.Next, b.Next, a.Prev, b.Prev = b, a, b, a
	return a
}

func selfLoop() *Node {
	n := newNode(3)
	n.Next, n.Prev = n, n
	return n
}

func chain(n int) (head *Node) {
	for i := 0; i < n; i++ {
		head = &Node{Next: head, Value: i, Tag: fmt.Sprint("chain ", i)}
	}
	return head
}

func bigMap(n int) map[string]int {
	m := make(map[string]int)
	for i := 0; i < n; i++ {
		m[fmt.Sprint("key ", i)] = i
	}
	return m
}

func grownMap() map[int]*Point {
	m := make(map[int]*Point, 4)
	for i := 0; i < 100; i++ {
		m[i] = &Point{i, i * i}
	}
	return m
}

func deletedMap() map[int]string {
	m := make(map[int]string)
	for i := 0; i < 50; i++ {
		m[i] = fmt.Sprint("value ", i)
	}
	for i := 0; i < 50; i += 3 {
		delete(m, i)
	}
	return m
}

// growingMap stops while a bucket map is in the middle of its growth: 6.5
// entries a bucket start one, and each insert moves two buckets.
func growingMap() map[int]int {
	m := make(map[int]int)
	for i := 0; i < 6*1024+1024/2+3; i++ {
		m[i] = -i
	}
	return m
}

func double(i int) int { return 2 * i }
func helper()          {}

func counter(start int) func() int {
	return func() int { start++; return start }
}

func greeter(word string, nums []int) func(string) string {
	point := &Point{1, 2}
	return func(who string) string { return fmt.Sprint(word, who, nums, point.X) }
}

// Types that no compiler laid out: their descriptors are on the heap.
func dynStruct() any {
	t := reflect.StructOf([]reflect.StructField{
		{Name: "Count", Type: reflect.TypeOf(0)},
		{Name: "Label", Type: reflect.TypeOf("")},
		{Name: "Inner", Type: reflect.TypeOf(&Inner{})},
	})
	v := reflect.New(t).Elem()
	v.Field(0).SetInt(12)
	v.Field(1).SetString("dynamic")
	v.Field(2).Set(reflect.ValueOf(&Inner{9, 8, true}))
	return v.Interface()
}

func dynMap() any {
	m := reflect.MakeMap(reflect.MapOf(reflect.TypeOf(Color(0)), reflect.TypeOf([3]Name{})))
	m.SetMapIndex(reflect.ValueOf(Color(4)), reflect.ValueOf([3]Name{"x", "y", "z"}))
	return m.Interface()
}

func dynFunc() any {
	t := reflect.TypeOf(func(int) int { return 0 })
	return reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value { return args }).Interface()
}

// Sighted and Glimpse become shapes in front of the runtime's eyes alone, which
// makes the tables of their methods then.
type Sighted struct {
	Radius float64
	Where  string
}

type Glimpse int

func (s *Sighted) Area() float64 { return s.Radius }
func (g Glimpse) Area() float64  { return float64(g) }

//go:noinline
func asShape(v any) Shape { return v.(Shape) }
