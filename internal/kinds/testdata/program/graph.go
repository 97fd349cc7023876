package main

// An Object is a node of a large graph: two pointers, a text and a number.
type Object struct {
	Left, Right *Object
	Name        string
	ID          uint64
}

var vGraph *Object

// growGraph makes a heap-shaped binary tree of n objects.
func growGraph(n int) {
	all := make([]*Object, n)
	for i := range all {
		all[i] = &Object{Name: "object", ID: uint64(i)}
	}
	for i := range all {
		if l := 2*i + 1; l < n {
			all[i].Left = all[l]
		}
		if r := 2*i + 2; r < n {
			all[i].Right = all[r]
		}
	}
	if n > 0 {
		vGraph = all[0]
	}
}
