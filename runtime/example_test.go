//go:build !meminspect_off

package meminspect_test

import (
	"errors"
	"fmt"

	meminspect "github.com/meminspect/meminspect/runtime"
)

// Lookup finds a region by its ID until it is unregistered.
func ExampleRegister() {
	sessions := [3]int{4, 5, 6}
	id, err := meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Name("sessions"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, ok := meminspect.Lookup(id)
	fmt.Println(r.Name, r.Size, r.Type(), ok)
	fmt.Println(meminspect.Unregister(id))
	_, ok = meminspect.Lookup(id)
	fmt.Println(ok)
	// Output:
	// sessions 24 [3]int true
	// <nil>
	// false
}

// Register refuses an ID that is in use; Replace replaces its region.
func ExampleReplace() {
	const config = meminspect.ID(1<<63 | 42) // generated code has such constants
	first, second := 1, 2
	if _, err := meminspect.Register(config, &first); err != nil {
		fmt.Println(err)
		return
	}
	defer meminspect.Unregister(config)
	_, err := meminspect.Register(config, &second)
	fmt.Println(errors.Is(err, meminspect.ErrRegistered))
	_, err = meminspect.Replace(config, &second)
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Mark and clear parts of a block; ranges that touch are one region.
func ExampleMark() {
	arena := make([]byte, 4096)
	id, err := meminspect.Mark(arena, 0, 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer meminspect.Unregister(id)
	_, err = meminspect.Mark(arena, 100, 300)
	fmt.Println(err)
	fmt.Println(meminspect.Clear(arena, 50, 60))
	for r := range meminspect.Regions() {
		if r.ID == id {
			fmt.Println(r.Size)
		}
	}
	// Unordered output:
	// <nil>
	// <nil>
	// 50
	// 240
}

// Notify first reports the current regions, then every change.
func ExampleNotify() {
	x, y := 1, 2
	id, _ := meminspect.Register(meminspect.IDDynamic, &x, meminspect.Name("x"))
	stop := meminspect.Notify(func(e meminspect.Event) {
		fmt.Println(e.Added, e.Region.Name)
	})
	other, _ := meminspect.Register(meminspect.IDDynamic, &y, meminspect.Name("y"))
	meminspect.UnregisterAll(id, other)
	stop()
	// Output:
	// true x
	// true y
	// false x
	// false y
}
