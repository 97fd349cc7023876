// Command closures registers function literals whose variables the compiler captures
// by value or by reference, some too large for registers. Each variable has a mark of
// 16 bytes.
package main

import (
	"fmt"
	"os"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
)

type mark [16]byte

// A large is too large for registers, and begins with a pointer.
type large struct {
	first *mark
	mark  mark
	a, b  int
}

var functions [8]func(int) byte

// name returns a mark that no text of the program has.
func name(n byte) (m mark) {
	for i := range m {
		m[i] = n ^ byte(i*37+11)
	}
	return m
}

//go:noinline
func fill() {
	value := name(1)
	functions[0] = func(i int) byte { return value[i] }

	reference := name(2)
	functions[1] = func(i int) byte { reference[0] ^= 0; return reference[i] }

	first, second := name(3), name(4)
	functions[2] = func(i int) byte { return first[i] + second[i] }

	one, other, last := name(5), name(6), 7
	functions[3] = func(i int) byte { other[0] ^= 0; last++; return one[i] + other[i] }

	m := name(7)
	l := large{first: &m, mark: name(8)}
	functions[4] = func(i int) byte { return l.mark[i] + l.first[i] }

	n := name(9)
	r := large{first: &n, mark: name(10)}
	functions[5] = func(i int) byte { r.a++; return r.mark[i] + r.first[i] }

	var small [8]byte
	copy(small[:], "smallest")
	slice := append([]mark(nil), name(11))
	functions[6] = func(i int) byte { return small[i%8] + slice[0][i] }

	p := name(12)
	pointer := &p
	functions[7] = func(i int) byte { return pointer[i] }
}

func main() {
	fill()
	if _, err := meminspect.Register(meminspect.IDDynamic, &functions, meminspect.Name("functions")); err != nil {
		panic(err)
	}
	if len(os.Args) > 9 {
		fmt.Println(functions[0](len(os.Args)))
	}
	os.Stdout.WriteString("ready\n")
	for len(os.Args) > 1 { // other closures all the time, made by the same functions
		fill()
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Hour)
}
