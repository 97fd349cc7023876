// Command torn replaces and changes the values of a table without a pause.
package main

import (
	"fmt"
	"sync"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type session struct {
	seq  int64
	name string // always "user-" and seq
	self int64  // always seq
}

type sessions struct {
	mu   sync.Mutex
	byID map[int]*session
	list []*session
}

var tab = &sessions{byID: map[int]*session{}}

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/torn",
	Namespace: "torn",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "tab", Expr: "tab", Var: &tab, Depth: 8, Flags: meminspectimpl.HasDepth, Budget: 4 << 20},
	},
}

func init() { meminspectimpl.Link(&table) }

func newSession(seq int64) *session {
	return &session{seq: seq, name: fmt.Sprint("user-", seq), self: seq}
}

var garbage [][]byte

func main() {
	const n = 64
	for i := range int64(n) {
		s := newSession(i)
		tab.list = append(tab.list, s)
		tab.byID[int(i)] = s
	}
	fmt.Println("ready")
	for i := int64(n); ; i++ {
		tab.mu.Lock()
		s, k := newSession(i), int(i%n)
		tab.list[k], tab.byID[k] = s, s
		old := tab.list[(k+1)%n]
		old.seq, old.self, old.name = i, i, fmt.Sprint("user-", i)
		tab.mu.Unlock()
		garbage = append(garbage[max(0, len(garbage)-100):], make([]byte, 100))
	}
}
