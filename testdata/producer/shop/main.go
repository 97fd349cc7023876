// Command shop sells, and knows what it holds.
package main

import (
	"fmt"
	"time"

	"example.com/shop/ring"
	"example.com/shop/store"
)

//go:generate meminspect generate ./...

// headerLen is how much of the arena is worth a capture.
const headerLen = 2 * store.BlockSize

//meminspect:number
const protocolVersion = 7

var (
	//meminspect:entry
	//meminspect:entry member=Slots[3].N name=FourthSlot
	orders ring.Of[order]

	//meminspect:area size=headerLen budget=64KiB "note=the first two blocks"
	arena [1 << 16]byte

	//meminspect:entry summary
	started = time.Now()

	//meminspect:entry depth=2 budget=4KiB
	limits, prices = map[string]int{"tea": 3}, []float64{1.5}
)

//meminspect:layout
type order struct {
	ID int
	//meminspect:exclude
	Card  string
	Lines [4]struct{ n int }
}

func main() {
	orders.Push(order{ID: 1, Card: "1234"})
	arena[0] = byte(protocolVersion)
	fmt.Println(idArena, idFourthSlot(), len(limits), len(prices), !started.IsZero(), store.Describe())
}

func idFourthSlot() string { return IDFourthSlot.String() }
