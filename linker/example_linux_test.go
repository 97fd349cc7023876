package linker_test

import (
	"fmt"
	"log"

	"github.com/meminspect/meminspect/linker"
)

// Map lists what a capture of the program includes, and Check reports mistakes.
// This program has no annotations.
func ExampleOpen() {
	p, err := linker.Open("/proc/self/exe")
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	for _, e := range p.Map().Entries {
		fmt.Println(e.Package, e.Name, e.Type)
	}
	findings, err := p.Check(linker.CheckOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(p.Map().Entries), "entries,", len(findings), "findings")
	// Output:
	// 0 entries, 0 findings
}
