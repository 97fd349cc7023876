package read

import (
	"bytes"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// maxCallLinks is the maximum number of links of what system calls are about: the kernel is asked for
// each while the program is stopped, and no rehearsal is of use.
const maxCallLinks = 500

// addSystemCalls adds the system calls that goroutines are in. A thread that runs may by now be in
// another call, or in that of another goroutine: its call must be on the goroutine's stack, and still be
// the same when everything about it was read.
func (d *descriptors) addSystemCalls() {
	code := instructions{d.mem, map[memory.Address][]byte{}}
	running := d.held.inCall != nil
	for i := range d.all {
		g := &d.all[i]
		th := d.thread[g.Addr]
		if g.Status != goroutine.Syscall || th == nil || running && !g.Stack.Contains(memory.Address(th.SP())) {
			continue
		}
		call, ok := th.SystemCall(code)
		if !ok || call.Futex() && d.inGo(th) { // the runtime's scheduler, or a signal handler's goroutine
			continue
		}
		wait := note.Wait{Goroutine: g.ID, Flags: note.WaitSystemCall, Elem: call.String()}
		if fd, ok := call.Descriptor(); ok {
			wait.Flags |= note.WaitDescriptor
			wait.Len = uint64(fd)
		}
		if link := d.linkOf(call, th); link != "" {
			wait.Elem += callSeparator + link
		}
		if running && !d.held.inCall(th, call) {
			continue
		}
		d.out.Waits = append(d.out.Waits, wait)
	}
}

// linkOf asks the kernel for the link of what a thread's system call is about. Descriptors of a
// program that runs are asked for each time.
func (d *descriptors) linkOf(call process.SystemCall, th *process.Thread) string {
	source, running := d.program.Source, d.held.inCall != nil
	fd, isDescriptor := call.Descriptor()
	pid, isChild := call.Child()
	if _, asked := d.asked[uint64(fd)]; running || !isDescriptor || !asked {
		d.callLinks++
	}
	switch {
	case d.plan.Strict, d.callLinks > maxCallLinks, isDescriptor && !source.SharesFiles(th.ID):
		return ""
	case isDescriptor && running:
		return source.Descriptor(fd)
	case isDescriptor:
		return d.ask(uint64(fd))
	case isChild:
		return source.Child(pid)
	}
	return ""
}

// instructions is the memory of code, of which many threads are at the same place.
type instructions struct {
	memory.Memory
	read map[memory.Address][]byte
}

// ReadAt reads as many bytes of an instruction as any other call for its address.
func (c instructions) ReadAt(b []byte, addr memory.Address) (int, error) {
	if known, ok := c.read[addr]; ok {
		return copy(b, known), nil
	}
	n, err := c.Memory.ReadAt(b, addr)
	if err == nil {
		c.read[addr] = bytes.Clone(b)
	}
	return n, err
}

// callSeparator is between the name of a system call and what it is about.
const callSeparator = ": "

// inGo reports whether a thread has entered the kernel from Go code.
func (d *descriptors) inGo(th *process.Thread) bool {
	return slices.ContainsFunc(d.program.Runtime.Modules, func(m *module.Module) bool { return m.Text.Contains(memory.Address(th.PC())) })
}
