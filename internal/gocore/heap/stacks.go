package heap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Function data and pc-data of the pc-line table (internal/abi's symtab.go).
const (
	pcdataStackMap   = 1
	funcdataArgs     = 0
	funcdataLocals   = 1
	funcdataObjects  = 2
	stackObjectBytes = 16
)

// A frameMap is which words of a function's frame are pointers at one pc.
type frameMap struct {
	fn      *module.Func // nil: the pc is in no function that is known
	delta   uint64       // from the stack pointer up to the return address
	known   bool         // false: any word may be a pointer
	locals  []byte       // a bit a word, of the last ones below the return address
	nlocals uint64
	args    []byte // a bit a word, from the end of the return address on
	nargs   uint64
	objects []stackObject
}

// A stackObject is a variable whose address is taken: it is alive only if a pointer
// leads to it.
type stackObject struct {
	offset int64 // from the end of the locals if negative, else from the arguments
	size   uint64
	mask   []byte // a bit a word, nil: any word may be a pointer
}

// A stackReader reads the roots that goroutines are: their stacks, by the maps that
// the compiler laid down for the collector.
type stackReader struct {
	*extraction
	prog    *module.Program
	layout  *Layout
	glayout goroutine.Layout
	funcs   map[*module.Module]*module.Functions
	maps    [2]map[memory.Address]*frameMap // for a return address, and for the pc of a stopped goroutine
	threads map[memory.Address]*process.Thread
	groups  map[string]uint32
	precise bool // the stack maps can be used on this machine
}

// readGoroutines adds the edges from the stacks of all goroutines that are alive,
// and makes the stacks the owners of the runtime's records of their goroutines.
func (x *extraction) readGoroutines(t *Target, threads []process.Thread) error {
	r := stackReader{
		extraction: x, prog: t.prog, layout: x.layout, glayout: t.glayout, funcs: t.funcs, precise: t.amd64,
		maps: [2]map[memory.Address]*frameMap{{}, {}}, threads: map[memory.Address]*process.Thread{}, groups: map[string]uint32{},
	}
	list, err := t.cells.Read(x.mem)
	if err != nil {
		return err
	}
	addrs, err := list.Addrs(x.mem)
	if err != nil {
		return err
	}
	read := r.glayout.ReadAll(x.mem, addrs, nil, nil)
	if read.Bad > 0 {
		x.problem("goroutines", fmt.Errorf("%d of %d could not be read: %w", read.Bad, len(addrs), read.First))
	}
	r.running(threads)
	for i := range read.All {
		if g := &read.All[i]; g.Status.Alive() {
			if err := r.goroutine(g); err != nil {
				x.problem(fmt.Sprintf("goroutine %d", g.ID), err)
			}
		}
	}
	return nil
}

// running finds out which goroutine each thread works for. A thread has the address
// of the runtime.g that it runs on in its thread-local storage: that of a goroutine,
// or of the scheduler's stack, whose record names the goroutine.
func (r *stackReader) running(threads []process.Thread) {
	const maxLocal = 4 << 10
	mem := memory.Reader{Memory: r.mem}
	var pointers []memory.Address
	for i := range threads {
		if tls := threads[i].TLS; tls != 0 {
			pointers = append(pointers, memory.Address(tls))
		}
	}
	local := r.glayout.FindLocal(r.mem, pointers, maxLocal)
	for i := range threads {
		th := &threads[i]
		if th.TLS == 0 {
			continue
		}
		addr, err := mem.Pointer(local.Cell(memory.Address(th.TLS)))
		if err != nil || addr == 0 {
			continue
		}
		b, err := mem.Bytes(addr, uint64(r.glayout.Size), uint64(r.glayout.Size))
		if err != nil {
			continue
		}
		g, err := r.glayout.Decode(addr, b)
		if err != nil {
			continue
		}
		r.threads[addr] = th
		if m, err := r.glayout.ReadM(r.mem, g.M); err == nil && m.Cur != 0 {
			r.threads[m.Cur] = th
		}
	}
}

// group returns the number of the root of goroutines that begin with the same
// function as g.
func (r *stackReader) group(g *goroutine.G) uint32 {
	name := fmt.Sprintf("%v", g.StartPC)
	if f := r.function(g.StartPC); f != nil {
		name = f.Name
	}
	number, ok := r.groups[name]
	if !ok {
		number = r.addRoot(Root{Kind: Goroutine, Name: name})
		r.groups[name] = number
	}
	r.Roots[number].Count++
	return number
}

func (r *stackReader) function(pc memory.Address) *module.Func {
	m := r.prog.ModuleOf(pc)
	if m == nil || r.funcs[m] == nil {
		return nil
	}
	f, err := r.funcs[m].At(pc)
	if err != nil {
		return nil
	}
	return f
}

// maxStackBytes bounds a stack: the runtime ends a program with a larger one.
const maxStackBytes = 2 << 30

// A stackScan is the scan of one goroutine's stack.
type stackScan struct {
	*stackReader
	root    uint32
	start   uint64 // address of the first word
	words   []byte
	seen    map[uint64]bool // words that were taken for pointers into the stack
	into    []uint64        // addresses in the stack that a live pointer leads to
	objects []placedObject
}

type placedObject struct {
	memory.Range
	*stackObject
}

// goroutine adds the edges from one goroutine's stack.
func (r *stackReader) goroutine(g *goroutine.G) error {
	root := r.group(g)
	from := len(r.into)
	r.own(root, uint64(g.Addr))
	place, known := g.Where(), true
	th := r.threads[g.Addr]
	if g.Status == goroutine.Running {
		place, known = goroutine.Place{}, false
		if th != nil {
			for _, v := range th.Words() {
				r.reach(root, v)
			}
			// A thread may be on another stack: of the scheduler, of a signal, of C.
			if g.Stack.Contains(memory.Address(th.SP())) {
				place = goroutine.Place{PC: memory.Address(th.PC()), SP: memory.Address(th.SP())}
			} else if g.Stack.Contains(g.Sched.SP) {
				place, known = g.Sched, true
			}
		}
	}
	if !g.Stack.Contains(place.SP) {
		place = goroutine.Place{SP: g.Stack.Start}
	}
	used := g.InUse(place.SP)
	if used.Size() > maxStackBytes {
		return fmt.Errorf("a stack of %d bytes", used.Size())
	}
	if !place.SP.Aligned(memory.PtrSize) {
		return fmt.Errorf("a stack pointer of %v", place.SP)
	}
	s := stackScan{stackReader: r, root: root, start: uint64(used.Start), words: make([]byte, used.Size()), seen: map[uint64]bool{}}
	if n, err := r.mem.ReadAt(s.words, used.Start); n < len(s.words) {
		return fmt.Errorf("its stack: %w", err)
	}
	s.frames(place, known)
	s.records(g)
	s.follow()
	r.note(g, r.into[from:])
	return nil
}

// frames scans the stack frame by frame. known reports that the goroutine stopped at
// a place for which there is a map, and not anywhere.
func (s *stackScan) frames(place goroutine.Place, known bool) {
	sp, pc := s.start, place.PC
	end := s.start + uint64(len(s.words))
	if !s.precise {
		s.all(sp, end)
		return
	}
	call, exact := false, known
	if known && place.PC != 0 {
		// The scheduler saved the return address of a call, or a function's entry.
		f := s.function(pc)
		call = f != nil && f.Range.Start != pc
	}
	const maxFrames = 1 << 20
	for range maxFrames {
		m := s.frameMap(pc, call)
		if m.fn == nil {
			break
		}
		ret := sp + m.delta
		if ret < sp || ret+8 > end {
			break
		}
		name := m.fn.Name
		preempted := name == "runtime.asyncPreempt" || name == "runtime.debugCallV2"
		if exact && m.known && !preempted {
			s.exact(m, ret)
		} else {
			s.all(sp, ret)
			if n := uint64(max(m.fn.ArgsSize, 0)); n > 0 {
				s.all(ret+8, min(ret+8+n, end))
			}
		}
		if name == "runtime.goexit" || name == "runtime.mstart" || name == "runtime.rt0_go" {
			return
		}
		// The caller of these stopped anywhere.
		exact = !preempted && name != "runtime.sigpanic"
		pc, sp, call = memory.Address(s.word(ret)), ret+8, true
		if pc == 0 || sp >= end {
			return
		}
	}
	s.all(sp, end)
}

// exact scans a frame by its map. Its return address is at ret.
func (s *stackScan) exact(m *frameMap, ret uint64) {
	varp := ret
	if m.delta > 0 {
		varp -= 8 // the frame pointer
	}
	for i := range m.nlocals {
		if m.locals[i/8]>>(i%8)&1 != 0 {
			s.pointer(varp - (m.nlocals-i)*8)
		}
	}
	for i := range m.nargs {
		if m.args[i/8]>>(i%8)&1 != 0 {
			s.pointer(ret + 8 + i*8)
		}
	}
	for i := range m.objects {
		o := &m.objects[i]
		at := varp + uint64(o.offset)
		if o.offset >= 0 {
			at = ret + 8 + uint64(o.offset)
		}
		s.objects = append(s.objects, placedObject{memory.RangeOf(memory.Address(at), o.size), o})
	}
}

// all scans memory of which any word may be a pointer.
func (s *stackScan) all(from, to uint64) {
	for a := from; a+8 <= to; a += 8 {
		s.pointer(a)
	}
}

// word returns the word of the stack at an address, 0 outside of it.
func (s *stackScan) word(a uint64) uint64 {
	if a < s.start || a-s.start > uint64(len(s.words))-8 || len(s.words) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(s.words[a-s.start:])
}

// pointer follows the pointer in the word of the stack at an address.
func (s *stackScan) pointer(a uint64) { s.value(s.word(a)) }

func (s *stackScan) value(v uint64) {
	switch {
	case v == 0:
	case v >= s.start && v-s.start < uint64(len(s.words)):
		if !s.seen[v] {
			s.seen[v] = true
			s.into = append(s.into, v)
		}
	default:
		s.reach(s.root, v)
	}
}

// records follows the goroutine's deferred calls: their records may be on the stack
// or on the heap, in any order.
func (s *stackScan) records(g *goroutine.G) {
	const gDefer, gPanic, maxDefers = 40, 32, 1 << 20
	r := memory.Reader{Memory: s.mem}
	for _, off := range []uint64{gPanic, gDefer} {
		if v, err := r.Uint64(g.Addr.Add(off)); err == nil {
			s.value(v)
		}
	}
	d, err := r.Pointer(g.Addr.Add(gDefer))
	for n := 0; err == nil && d != 0 && n < maxDefers; n++ {
		var fn uint64
		if fn, err = r.Uint64(d.Add(uint64(s.layout.deferFn))); err != nil {
			break
		}
		s.value(fn)
		s.value(uint64(d))
		d, err = r.Pointer(d.Add(uint64(s.layout.deferLink)))
	}
	if err != nil {
		s.problem(fmt.Sprintf("goroutine %d: its deferred calls", g.ID), err)
	}
}

// follow scans the variables on the stack that live pointers lead to.
func (s *stackScan) follow() {
	slices.SortFunc(s.objects, func(a, b placedObject) int { return a.Start.Compare(b.Start) })
	done := make([]bool, len(s.objects))
	for len(s.into) > 0 {
		v := memory.Address(s.into[len(s.into)-1])
		s.into = s.into[:len(s.into)-1]
		i, ok := slices.BinarySearchFunc(s.objects, v, func(o placedObject, a memory.Address) int {
			switch {
			case o.End <= a:
				return -1
			case o.Start > a:
				return 1
			}
			return 0
		})
		if !ok || done[i] {
			continue
		}
		done[i] = true
		o := &s.objects[i]
		for k := uint64(0); k < o.size/8; k++ {
			if o.mask == nil || k/8 < uint64(len(o.mask)) && o.mask[k/8]>>(k%8)&1 != 0 {
				s.pointer(uint64(o.Start) + k*8)
			}
		}
	}
}

// frameMap returns the map for a pc: a return address if call is set.
func (r *stackReader) frameMap(pc memory.Address, call bool) *frameMap {
	which := 0
	if !call {
		which = 1
	}
	m, ok := r.maps[which][pc]
	if !ok {
		m = r.readFrameMap(pc, call)
		r.maps[which][pc] = m
	}
	return m
}

var errNoMap = errors.New("no stack map")

func (r *stackReader) readFrameMap(pc memory.Address, call bool) *frameMap {
	m := &frameMap{}
	f := r.function(pc)
	if f == nil {
		return m
	}
	delta, err := f.SPDelta(pc)
	if err != nil || delta < 0 || delta%8 != 0 {
		return m
	}
	m.fn, m.delta = f, uint64(delta)
	index := int32(0) // of the map at the function's entry
	if call && pc != f.Range.Start {
		if index, err = f.PCData(pcdataStackMap, pc-1); err != nil {
			return m
		}
		index = max(index, 0)
	}
	if m.locals, m.nlocals, err = r.bitmap(f, funcdataLocals, index); err != nil && m.delta > 8 || m.nlocals*8 > m.delta {
		return m
	}
	if m.args, m.nargs, err = r.bitmap(f, funcdataArgs, index); err != nil && f.ArgsSize > 0 {
		return m
	}
	if m.objects, err = r.stackObjects(f, m.delta); err != nil {
		return m
	}
	m.known = true
	return m
}

// bitmap reads one of the stack maps of a function.
func (r *stackReader) bitmap(f *module.Func, which uint8, index int32) (bits []byte, n uint64, err error) {
	const maxWords = 1 << 24
	at, err := f.FuncData(which)
	if err != nil {
		return nil, 0, err
	}
	if at == 0 {
		return nil, 0, errNoMap
	}
	mem := memory.Reader{Memory: r.prog.Mem}
	count, err := mem.Uint32(at)
	if err != nil {
		return nil, 0, err
	}
	words, err := mem.Uint32(at.Add(4))
	if err != nil || words == 0 {
		return nil, 0, err
	}
	if int64(index) >= int64(count) || words > maxWords {
		return nil, 0, errNoMap
	}
	size := (uint64(words) + 7) / 8
	if bits, err = mem.Bytes(at.Add(8+uint64(index)*size), size, size); err != nil {
		return nil, 0, err
	}
	return bits, uint64(words), nil
}

// stackObjects reads the records of the variables in a frame whose address is
// taken.
func (r *stackReader) stackObjects(f *module.Func, delta uint64) ([]stackObject, error) {
	at, err := f.FuncData(funcdataObjects)
	if err != nil || at == 0 {
		return nil, err
	}
	mem := memory.Reader{Memory: r.prog.Mem}
	count, err := mem.Uint64(at)
	if err != nil {
		return nil, err
	}
	const most = 1 << 16
	if count > most {
		return nil, fmt.Errorf("%d variables in a frame", count)
	}
	b, err := mem.Bytes(at.Add(8), count*stackObjectBytes, most*stackObjectBytes)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	mod := r.prog.ModuleOf(f.Range.Start)
	var all []stackObject
	for ; len(b) > 0; b = b[stackObjectBytes:] {
		o := stackObject{offset: int64(int32(le.Uint32(b))), size: uint64(le.Uint32(b[4:]))}
		pointers, off := int32(le.Uint32(b[8:])), le.Uint32(b[12:])
		if o.size > maxStackBytes || o.offset < 0 && uint64(-o.offset) > delta {
			return nil, fmt.Errorf("a variable of %d bytes at %d in a frame of %d", o.size, o.offset, delta)
		}
		// A negative number is, until Go 1.23, a program that makes the mask.
		if pointers >= 0 && uint64(pointers) <= o.size {
			size := (uint64(pointers)/8 + 7) / 8
			if o.mask, err = mem.Bytes(mod.ROData.Add(uint64(off)), size, size); err != nil {
				return nil, err
			}
			if o.mask == nil {
				continue // no pointers in it
			}
		}
		all = append(all, o)
	}
	return all, nil
}
