package process

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// ThreadIDs returns the IDs of the current threads: the main thread's first, as in
// the kernel's cores, then the others in ascending order. The kernel starts over with
// low IDs, so the main thread's may be a high one.
func (p *Process) ThreadIDs() ([]int, error) {
	dir, err := os.Open(p.path("task"))
	if err != nil {
		return nil, fmt.Errorf("threads of process %d: %w", p.PID, gone(err))
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("threads of process %d: %w", p.PID, gone(err))
	}
	ids := make([]int, 0, len(names))
	for _, name := range names {
		if id, err := strconv.Atoi(name); err == nil {
			ids = append(ids, id)
		}
	}
	sortThreads(ids, p.PID)
	return ids, nil
}

func sortThreads(ids []int, main int) {
	slices.SortFunc(ids, func(a, b int) int {
		switch {
		case a == b:
			return 0
		case a == main:
			return -1
		case b == main:
			return 1
		}
		return cmp.Compare(a, b)
	})
}

// A Stat has the first fields of /proc/PID/stat, or of a thread's stat file.
type Stat struct {
	Name                string // at most 15 bytes
	State               byte   // R running, S sleeping, D uninterruptible, T stopped, t traced, Z dead, X dead
	Parent, Group, Sess int
	Exiting             bool   // it has begun to exit, and is about to give up its memory and to close its files
	Kernel              bool   // it is a thread of the kernel
	Start               uint64 // clock ticks since boot

	// StackStart is the lowest address of the data that the kernel stored above
	// the first frame of the main thread: arguments, environment, auxiliary
	// vector. It is 0 if the kernel does not report it.
	StackStart memory.Address

	Environment memory.Address // of the environment's strings, 0 if the kernel does not report it
}

// Dead reports whether the thread has ended.
func (s Stat) Dead() bool { return s.State == 'Z' || s.State == 'X' || s.State == 'x' }

// Stat returns the process' Stat. If only the main thread has ended, its state and its
// addresses are those of another thread.
func (p *Process) Stat() (Stat, error) {
	data, err := p.read("stat")
	if err != nil {
		return Stat{}, err
	}
	stat, err := parseStat(string(data))
	another := int(p.another.Load())
	if err != nil || another == 0 {
		return stat, err
	}
	other, err := p.ThreadStat(another)
	if err != nil {
		return stat, nil //nolint:nilerr // that thread has ended too
	}
	stat.State, stat.Exiting, stat.StackStart, stat.Environment = other.State, other.Exiting, other.StackStart, other.Environment
	return stat, nil
}

// survivor returns a thread that continues after the main thread has called pthread_exit,
// or 0 if there is no such thread or if the main thread has not ended.
func (p *Process) survivor() int {
	main, err := p.ThreadStat(p.PID)
	if err != nil || !main.Dead() {
		return 0
	}
	ids, err := p.ThreadIDs()
	if err != nil {
		return 0
	}
	for _, id := range ids {
		if stat, err := p.ThreadStat(id); err == nil && !stat.Exiting && !stat.Dead() {
			return id
		}
	}
	return 0
}

// ThreadStat returns the Stat of one of its threads.
func (p *Process) ThreadStat(tid int) (Stat, error) {
	data, err := p.read("task/" + strconv.Itoa(tid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	return parseStat(string(data))
}

// parseStat parses a line of man proc_pid_stat. The name is in parentheses and
// may contain any byte, closing parentheses too, so the last one ends it.
func parseStat(line string) (Stat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("%q is not a stat line", line)
	}
	fields := strings.Fields(line[end+1:])
	const start = 19 // field 22 of the line
	if len(fields) <= start || len(fields[0]) != 1 {
		return Stat{}, fmt.Errorf("%q is not a stat line", line)
	}
	s := Stat{Name: line[open+1 : end], State: fields[0][0]}
	for i, into := range []*int{&s.Parent, &s.Group, &s.Sess} {
		n, err := strconv.Atoi(fields[1+i])
		if err != nil {
			return Stat{}, fmt.Errorf("%q is not a stat line", line)
		}
		*into = n
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	if err != nil {
		return Stat{}, fmt.Errorf("%q is not a stat line", line)
	}
	const exiting, kernel = 0x4, 0x200000 // PF_EXITING and PF_KTHREAD of include/linux/sched.h
	s.Exiting, s.Kernel = flags&exiting != 0, flags&kernel != 0
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return Stat{}, fmt.Errorf("%q is not a stat line", line)
	}
	s.Start = ticks
	s.StackStart, s.Environment = stackStart(fields), addressIn(fields, environmentField)
	return s, nil
}

// stackStart returns the lowest of the kernel's addresses of the stack, the
// arguments and the environment. The kernel reports 0 to processes that may not
// read the process. A program may move each of them (man 2 prctl).
func stackStart(fields []string) memory.Address {
	const stack, args = 28, 48
	lowest := memory.Address(0)
	for _, field := range []int{stack, args, environmentField} {
		if at := addressIn(fields, field); at != 0 && (lowest == 0 || at < lowest) {
			lowest = at
		}
	}
	return lowest
}

const environmentField = 50

// addressIn returns the address in a field, counted as the manual page does, 0 if there is
// none.
func addressIn(fields []string, field int) memory.Address {
	const first = 3 // what follows the name
	if field-first >= len(fields) {
		return 0
	}
	at, _ := strconv.ParseUint(fields[field-first], 10, 64)
	return memory.Address(at)
}

// Ours maps the process' own thread IDs to ours, which differ if it is in a PID
// namespace below ours; nil if it is not. It omits threads that have ended.
func (p *Process) Ours(ids []int) map[int]int {
	if len(p.numbers(p.PID)) < 2 {
		return nil
	}
	ours := make(map[int]int, len(ids))
	for _, id := range ids {
		if all := p.numbers(id); len(all) > 0 {
			if own, err := strconv.Atoi(all[len(all)-1]); err == nil {
				ours[own] = id
			}
		}
	}
	return ours
}

// numbers returns the IDs of a thread in the PID namespaces from ours down to
// its own.
func (p *Process) numbers(id int) []string {
	data, err := p.read("task/" + strconv.Itoa(id) + "/status")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return strings.Fields(numbers)
		}
	}
	return nil
}

// Status returns the lines of /proc/PID/status by name, without the colon and
// the white space after it.
func (p *Process) Status() (map[string]string, error) {
	data, err := p.read("status")
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields, nil
}

// A Blocked is where a thread sleeps in the kernel, as far as that is visible
// for a thread that was not stopped.
type Blocked struct {
	SP, PC uint64
	Call   SystemCall // its Machine is 0 if the thread blocks outside of a call
}

// Blocked returns where a thread entered the kernel, or false if it is running,
// has ended, or must not be inspected.
func (p *Process) Blocked(tid int) (Blocked, bool) {
	data, err := p.read("task/" + strconv.Itoa(tid) + "/syscall")
	if err != nil {
		return Blocked{}, false
	}
	// "running", or: number, six arguments, stack pointer, program counter; a
	// thread that blocks outside a call has -1, stack pointer, program counter.
	fields := strings.Fields(string(data))
	if len(fields) != 9 && len(fields) != 3 {
		return Blocked{}, false
	}
	sp, err1 := strconv.ParseUint(fields[len(fields)-2], 0, 64)
	pc, err2 := strconv.ParseUint(fields[len(fields)-1], 0, 64)
	if err1 != nil || err2 != nil {
		return Blocked{}, false
	}
	b := Blocked{SP: sp, PC: pc}
	if len(fields) == 9 {
		number, err1 := strconv.Atoi(fields[0])
		first, err2 := strconv.ParseUint(fields[1], 0, 64)
		second, err3 := strconv.ParseUint(fields[2], 0, 64)
		if err1 == nil && err2 == nil && err3 == nil && number >= 0 {
			b.Call = SystemCall{HostMachine(), number, [2]uint64{first, second}}
		}
	}
	return b, true
}
