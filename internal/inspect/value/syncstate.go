package value

import (
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// syncState reads the types of package sync whose words are counters and flags: a
// value without fields, and a note about its state. It reports false for all others,
// and if a type does not have the fields that it knows.
func (r *reader) syncState(v *Value, t *gotypes.Type, addr memory.Address) bool {
	read := map[string]func(*gotypes.Type, memory.Address) (note string, known, ok bool){
		"Mutex": r.mutex, "RWMutex": r.rwMutex, "WaitGroup": r.waitGroup, "Once": r.once,
	}[t.Name()]
	if read == nil {
		return false
	}
	note, known, ok := read(t, addr)
	switch {
	case !known:
		return false
	case !ok:
		r.absent(v, addr, t.Size)
		return true
	}
	v.Shape = Struct
	if note != "" {
		v.State = append(v.State, note)
	}
	if f, ok := t.Field("m"); ok && r.hasParts && t.Name() == "Once" {
		v.Parts = []Field{{f.Name, r.value(f.Type, addr.Add(f.Offset), 0)}}
	}
	return true
}

// word reads the unsigned number in a field, whose name is a path: "mu.state". A
// sync/atomic type counts as what it holds. known reports whether there is that
// field, ok whether it is in the core.
func (r *reader) word(t *gotypes.Type, addr memory.Address, path string) (n uint64, known, ok bool) {
	if t, addr, known = fieldAt(t, addr, path); !known {
		return 0, false, false
	}
	if t.PkgPath == "sync/atomic" {
		f, found := t.Field("v")
		if !found {
			return 0, false, false
		}
		t, addr = f.Type, addr.Add(f.Offset)
	}
	if t.Size == 0 || t.Size > 8 {
		return 0, false, false
	}
	b, ok := r.fetch(addr, t.Size)
	if !ok {
		return 0, true, false
	}
	var word [8]byte
	copy(word[:], b)
	return le.Uint64(word[:]), true, true
}

// fieldAt returns the type and address of a field, whose name is a path: "mu.state".
func fieldAt(t *gotypes.Type, addr memory.Address, path string) (*gotypes.Type, memory.Address, bool) {
	for name := range strings.SplitSeq(path, ".") {
		f, ok := t.Field(name)
		if !ok {
			return nil, 0, false
		}
		t, addr = f.Type, addr.Add(f.Offset)
	}
	return t, addr, true
}

// Bits of the state of a mutex: internal/sync.Mutex, before Go 1.24 sync.Mutex.
const (
	mutexLocked      = 1
	mutexStarving    = 4
	mutexWaiterShift = 3
)

// mutexState returns the state word of a mutex.
func (r *reader) mutexState(t *gotypes.Type, addr memory.Address) (state uint64, known, ok bool) {
	if state, known, ok = r.word(t, addr, "mu.state"); known {
		return state, known, ok
	}
	return r.word(t, addr, "state")
}

func (r *reader) mutex(t *gotypes.Type, addr memory.Address) (note string, known, ok bool) {
	state, known, ok := r.mutexState(t, addr)
	return lockText(state), known, ok
}

// lockText is empty for a mutex that is not locked.
func lockText(state uint64) string {
	var words []string
	if state&mutexLocked != 0 {
		words = append(words, "locked")
	}
	if n := state >> mutexWaiterShift; n > 0 {
		words = append(words, number(n, "waiter"))
	}
	if state&mutexStarving != 0 {
		words = append(words, "starving")
	}
	return strings.Join(words, ", ")
}

func (r *reader) rwMutex(t *gotypes.Type, addr memory.Address) (note string, known, ok bool) {
	w, found := t.Field("w")
	count, known, ok := r.word(t, addr, "readerCount")
	leaving, known2, ok2 := r.word(t, addr, "readerWait")
	if !found || !known || !known2 {
		return "", false, false
	}
	state, known, ok3 := r.mutexState(w.Type, addr.Add(w.Offset))
	const maxReaders = 1 << 30
	readers, writer := int32(count), false
	if readers < 0 { // a writer holds it, or waits for the readers to leave
		readers, writer = readers+maxReaders, true
	}
	var words []string
	switch left := int32(leaving); {
	case writer && left > 0:
		words = append(words, number(uint64(left), "reader"), "a writer waits")
		readers -= left
	case writer:
		words = append(words, "locked for writing")
	case readers > 0:
		return number(uint64(readers), "reader"), known, ok && ok2 && ok3
	}
	if writer && readers > 0 {
		words = append(words, number(uint64(readers), "waiting reader"))
	}
	if n := state >> mutexWaiterShift; n > 0 {
		words = append(words, number(n, "waiting writer"))
	}
	return strings.Join(words, ", "), known, ok && ok2 && ok3
}

func (r *reader) waitGroup(t *gotypes.Type, addr memory.Address) (note string, known, ok bool) {
	state, known, ok := r.word(t, addr, "state")
	var words []string
	if n := int32(state >> 32); n != 0 {
		words = append(words, fmt.Sprintf("counter %d", n))
	}
	if n := state & 0x7fffffff; n > 0 { // the bit above is that of testing/synctest
		words = append(words, number(n, "waiter"))
	}
	return strings.Join(words, ", "), known, ok
}

func (r *reader) once(t *gotypes.Type, addr memory.Address) (note string, known, ok bool) {
	done, known, ok := r.word(t, addr, "done")
	if done&1 != 0 || !known || !ok {
		return "done", known, ok
	}
	m, found := t.Field("m")
	if !found {
		return "", false, false
	}
	state, known, ok := r.mutexState(m.Type, addr.Add(m.Offset))
	if state&mutexLocked != 0 {
		note = "running"
	}
	return note, known, ok
}

// pool reads a sync.Pool as its function New. What it keeps is in caches of each processor,
// and captures do not follow them: the garbage collector may empty them at any time.
func (r *reader) pool(v *Value, t *gotypes.Type, addr memory.Address, depth int) bool {
	f, ok := t.Field("New")
	local, known, there := r.word(t, addr, "localSize")
	victim, known2, there2 := r.word(t, addr, "victimSize")
	if !ok || !known || !known2 {
		return false
	}
	v.Shape = Struct
	v.Fields = []Field{{Name: "New", Value: r.value(f.Type, addr.Add(f.Offset), depth)}}
	switch caches := max(local, victim); {
	case !there || !there2:
	case caches == 0: // not used yet, or not since the collections that emptied it
		v.State = append(v.State, "empty")
	default:
		v.State = append(v.State, "caches of "+number(caches, "processor"))
	}
	return true
}

// number returns a count of things as text.
func number(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
