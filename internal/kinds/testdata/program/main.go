// Command kinds has a variable of every kind. It prints "ready" when all of
// them have their values and then does nothing more.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"kinds/other"
)

// A Var is a row of the table: an outside reader finds it by its magic and has
// the address and the runtime type of every variable.
type Var struct {
	Name string
	Var  any
}

// Table lists all variables.
var Table = struct {
	Magic [2]uint64
	Rows  []Var
}{Magic: [2]uint64{0x6b696e6473766172, 0x1d0c8a5f72e3b946}}

func main() {
	vOuter = Outer{
		Inner: vInner, Node: vPtrHeap, Name: "outer", Temps: [3]Celsius{1, 2, 3},
		Shapes: vSliceIface, ByName: map[Name]Shape{"a": Square{1}}, Any: vSliceAny, Err: vError,
		Fn: double, Ch: vChanStr, unexp: []byte("unexported"),
	}
	for i := range vArrayBig {
		vArrayBig[i] = int32(i)
	}
	for i := range vSliceBig {
		vSliceBig[i] = uint64(i) << 32
	}
	vChanBuf <- 1
	vChanBuf <- 2
	vChanStr <- "first"
	vChanStr <- "second"
	vChanStruct <- Inner{1, 2, true}
	for i := 0; i < 5; i++ { // the ring goes around
		vChanWrapped <- i
		if i > 1 {
			<-vChanWrapped
		}
	}
	vChanPtr <- newNode(8)
	vChanEmpty <- struct{}{}
	close(vChanClosed)
	go func() { <-vChanWaitR }()
	go func() { vChanWaitS <- Point{31, 41} }()
	go func() { vChanWaitS <- Point{59, 26} }()
	vOnce.Do(func() {})
	vWG.Add(2)
	vSyncMap.Store("k1", 1)
	vSyncMap.Store(2, "v2")
	vSyncMap.Store(Name("k3"), Point{1, 2})
	vSyncMap.Load("k1")
	for i := 0; i < 200; i++ {
		vSyncMapBig.Store(i, fmt.Sprint("value ", i))
	}
	vAtomicI.Store(-5)
	vAtomicB.Store(true)
	vAtomicV.Store(Point{6, 7})
	vAtomicP.Store(newNode(9))
	vAtomicPS.Store(&vSliceStr)
	vList.PushBack("front")
	vList.PushBack(2)
	for i, r := 0, vRing; i < 4; i, r = i+1, r.Next() {
		r.Value = i
	}
	vBuilder.WriteString("built")
	vBuffer.WriteString("read and unread")
	vBuffer.Next(5)
	vMapAtomic["set"].Store(newNode(10))
	vSelect2 <- "full"
	vSelect2 <- "up"
	for i := 0; i < 2; i++ { // the same goroutines wait on two channels
		go func() {
			select {
			case <-vSelect1:
			case vSelect2 <- "sent":
			case <-vChanNil:
			}
		}()
	}
	go func() { vCondLock.Lock(); vCond.Wait() }()
	Table.Rows = append(append(Table.Rows, vars...), laterVars...)
	for _, v := range other.Vars {
		Table.Rows = append(Table.Rows, Var(v))
	}

	// A name on the command line: more work for the stress tests.
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "graph=") {
		var n int
		fmt.Sscanf(os.Args[1], "graph=%d", &n)
		growGraph(n)
	}
	// What the collector frees now must not be freed between two dumps.
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
	fmt.Println("ready")
	var forever [1]byte
	os.Stdin.Read(forever[:])
	runtime.KeepAlive(vPool.Get())
}
