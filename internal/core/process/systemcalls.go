package process

import (
	"encoding/binary"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// A SystemCall is a system call that a thread is in.
type SystemCall struct {
	Machine uint16 // the ELF machine, on which the number depends
	Number  int
	Args    [2]uint64 // the first ones
}

// An operand is what a system call is about.
type operand byte

const (
	nothing    operand = iota // nothing that a core may have
	descriptor                // its first argument is one
	child                     // a process or any child: its first argument is the ID
	waited                    // of waitid: the type of its second argument, and that
)

// A systemCall is a system call by its numbers, -1 where a machine has no such call.
type systemCall struct {
	name         string
	amd64, arm64 int
	operand
}

// systemCalls are those that may take a while, with the numbers of the kernel's unistd.h.
// close frees the number of its descriptor before it waits, so it is about nothing.
var systemCalls = []systemCall{
	{"read", 0, 63, descriptor}, {"pread64", 17, 67, descriptor}, {"readv", 19, 65, descriptor},
	{"preadv", 295, 69, descriptor}, {"preadv2", 327, 286, descriptor},
	{"write", 1, 64, descriptor}, {"pwrite64", 18, 68, descriptor}, {"writev", 20, 66, descriptor},
	{"pwritev", 296, 70, descriptor}, {"pwritev2", 328, 287, descriptor},
	{"sendfile", 40, 71, descriptor}, {"splice", 275, 76, descriptor}, {"copy_file_range", 326, 285, descriptor},
	{"close", 3, 57, nothing}, {"ioctl", 16, 29, descriptor}, {"fcntl", 72, 25, descriptor}, {"flock", 73, 32, descriptor},
	{"lseek", 8, 62, descriptor}, {"vmsplice", 278, 75, descriptor},
	{"fsync", 74, 82, descriptor}, {"fdatasync", 75, 83, descriptor}, {"syncfs", 306, 267, descriptor},
	{"sync_file_range", 277, 84, descriptor}, {"ftruncate", 77, 46, descriptor}, {"fallocate", 285, 47, descriptor},
	{"fstat", 5, 80, descriptor}, {"fstatfs", 138, 44, descriptor}, {"getdents64", 217, 61, descriptor},
	{"connect", 42, 203, descriptor}, {"accept", 43, 202, descriptor}, {"accept4", 288, 242, descriptor},
	{"sendto", 44, 206, descriptor}, {"sendmsg", 46, 211, descriptor}, {"sendmmsg", 307, 269, descriptor},
	{"recvfrom", 45, 207, descriptor}, {"recvmsg", 47, 212, descriptor}, {"recvmmsg", 299, 243, descriptor},
	{"epoll_wait", 232, -1, descriptor}, {"epoll_pwait", 281, 22, descriptor}, {"epoll_pwait2", 441, 441, descriptor},
	{"mq_timedsend", 242, 182, descriptor}, {"mq_timedreceive", 243, 183, descriptor}, {"io_uring_enter", 426, 426, descriptor},
	{"wait4", 61, 260, child}, {"waitid", 247, 95, waited},
	{"open", 2, -1, nothing}, {"openat", 257, 56, nothing}, {"openat2", 437, 437, nothing}, {"newfstatat", 262, 79, nothing},
	{"statx", 332, 291, nothing}, {"statfs", 137, 43, nothing}, {"truncate", 76, 45, nothing}, {"unlinkat", 263, 35, nothing},
	{"renameat", 264, 38, nothing}, {"renameat2", 316, 276, nothing}, {"linkat", 265, 37, nothing}, {"mkdirat", 258, 34, nothing},
	{"faccessat", 269, 48, nothing}, {"faccessat2", 439, 439, nothing}, {"fchmodat", 268, 53, nothing}, {"fchownat", 260, 54, nothing},
	{"utimensat", 280, 88, nothing}, {"symlinkat", 266, 36, nothing}, {"stat", 4, -1, nothing}, {"lstat", 6, -1, nothing},
	{"rename", 82, -1, nothing}, {"unlink", 87, -1, nothing}, {"mkdir", 83, -1, nothing}, {"rmdir", 84, -1, nothing},
	{"clone", 56, 220, nothing}, {"clone3", 435, 435, nothing}, {"readlinkat", 267, 78, nothing}, {"mount", 165, 40, nothing}, {"umount2", 166, 39, nothing}, {"sync", 162, 81, nothing},
	{"poll", 7, -1, nothing}, {"ppoll", 271, 73, nothing}, {"select", 23, -1, nothing}, {"pselect6", 270, 72, nothing},
	{"pause", 34, -1, nothing}, {"nanosleep", 35, 101, nothing}, {"clock_nanosleep", 230, 115, nothing},
	{"restart_syscall", 219, 128, nothing}, // a sleep or poll after an interruption
	{"rt_sigtimedwait", 128, 137, nothing}, {"rt_sigsuspend", 130, 133, nothing}, {"futex", 202, 98, nothing}, {"futex_waitv", 449, 449, nothing},
	{"msgsnd", 69, 189, nothing}, {"msgrcv", 70, 188, nothing}, {"semop", 65, 193, nothing}, {"semtimedop", 220, 192, nothing},
	{"io_getevents", 208, 4, nothing}, {"execve", 59, 221, nothing}, {"getrandom", 318, 278, nothing},
	{"mmap", 9, 222, nothing}, {"munmap", 11, 215, nothing}, {"madvise", 28, 233, nothing}, {"msync", 26, 227, nothing},
	{"ptrace", 101, 117, nothing}, {"process_vm_readv", 310, 270, nothing}, {"process_vm_writev", 311, 271, nothing},
}

func (c SystemCall) find() *systemCall {
	for i := range systemCalls {
		k := &systemCalls[i]
		if c.Machine == elfcore.MachineAMD64 && k.amd64 == c.Number || c.Machine == elfcore.MachineARM64 && k.arm64 == c.Number {
			return k
		}
	}
	return &systemCall{}
}

// String returns the name of the call, or its number.
func (c SystemCall) String() string {
	if k := c.find(); k.name != "" {
		return k.name
	}
	return strconv.Itoa(c.Number)
}

// Types of the second argument of waitid.
const (
	idProcess    = 1 // P_PID
	idDescriptor = 3 // P_PIDFD
)

// Descriptor returns the descriptor that the call is about.
func (c SystemCall) Descriptor() (n int, ok bool) {
	arg := c.Args[0]
	switch k := c.find(); {
	case k.operand == waited && arg == idDescriptor:
		arg = c.Args[1]
	case k.operand != descriptor:
		return 0, false
	}
	return int(arg), arg < 1<<31
}

// Child returns the process for which the call waits, by the program's own numbers.
func (c SystemCall) Child() (pid int, ok bool) {
	arg := c.Args[0]
	switch k := c.find(); {
	case k.operand == waited && arg == idProcess:
		arg = c.Args[1]
	case k.operand != child:
		return 0, false
	}
	return int(arg), arg > 0 && arg < 1<<31 // the others are for groups
}

// Futex reports whether the call waits for a word of memory, as the scheduler's threads and
// the locks of C do.
func (c SystemCall) Futex() bool { return c.String() == "futex" }

// Instructions that enter the kernel. A stopped thread of amd64 has passed it, one of arm64
// has not.
const (
	svcARM64     = 0xd4000001
	syscallAMD64 = 0x050f
)

// SystemCall returns the system call that a thread is in; code is the memory of the program.
// A thread that was not stopped is in the call in which Blocked found it.
func (th *Thread) SystemCall(code memory.Memory) (c SystemCall, ok bool) {
	if th.placed {
		return th.call, th.call.Machine != 0
	}
	if c.Machine = th.Machine; c.Machine == 0 {
		c.Machine = HostMachine()
	}
	var instruction [4]byte
	switch c.Machine {
	case elfcore.MachineAMD64:
		if !th.InSystemCall() {
			return c, false
		}
		c.Number, c.Args = int(th.word(elfcore.AMD64OrigRAX)), [2]uint64{th.word(elfcore.AMD64RDI), th.word(elfcore.AMD64RSI)}
		_, err := code.ReadAt(instruction[:2], memory.Address(th.PC()-2))
		ok = err == nil && binary.LittleEndian.Uint16(instruction[:]) == syscallAMD64
	case elfcore.MachineARM64:
		c.Number, c.Args = int(th.word(8)), [2]uint64{th.word(0), th.word(1)}
		_, err := code.ReadAt(instruction[:], memory.Address(th.PC()))
		ok = err == nil && binary.LittleEndian.Uint32(instruction[:]) == svcARM64
	}
	return c, ok && c.Number < maxSystemCall
}

// maxSystemCall is above all numbers of both machines.
const maxSystemCall = 1 << 10
