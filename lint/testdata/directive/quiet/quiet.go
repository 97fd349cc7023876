// Package quiet has every directive, rightly used, and prose about them: a
// variable is marked with meminspect:entry.
package quiet

const headerLen = 16

//meminspect:entry
var sessions map[string]int

//meminspect:entry name=QueueHead member=head depth=4 budget=64KiB
var queue struct {
	head *int

	//meminspect:exclude
	owner string
}

//meminspect:area size=headerLen
var arena [1 << 20]byte

//meminspect:exclude
var signingKey []byte

//meminspect:layout
type Header struct{ N int }

//meminspect:number
const version = 3

func use() {
	_, _, _, _, _ = sessions, queue, arena, signingKey, version
	use()
}
