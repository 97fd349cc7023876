// Command both has the original and the fork in one program: their IDs are the
// same, and the import path distinguishes what they mean.
package main

import (
	"fmt"

	"example.com/shop/store"
	meminspect "github.com/meminspect/meminspect/runtime"

	fork "example.org/fork/shop/store"
)

func main() {
	fmt.Println(store.Describe() == fork.Describe())
	for r := range meminspect.Regions() {
		if r.Name == "items" {
			fmt.Println(r.Package)
		}
	}
}
