package process

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// The numbers are those of package unix, which has them of the kernel's headers.
func TestSystemCallNumbers(t *testing.T) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	numbers := func(arch string) map[string]int {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "zsysnum_linux_"+arch+".go"))
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]int{}
		for _, m := range regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`).FindAllStringSubmatch(string(text), -1) {
			all[strings.ToLower(m[1])], _ = strconv.Atoi(m[2])
		}
		if len(all) < 250 {
			t.Fatalf("%d numbers of %s", len(all), arch)
		}
		return all
	}
	amd64, arm64 := numbers("amd64"), numbers("arm64")
	for _, c := range systemCalls {
		for arch, k := range map[string]struct {
			own int
			all map[string]int
		}{"amd64": {c.amd64, amd64}, "arm64": {c.arm64, arm64}} {
			if want, ok := k.all[c.name]; ok && want != k.own || !ok && k.own != -1 {
				t.Errorf("%s of %s is %d, want %d", c.name, arch, k.own, want)
			}
		}
		if max(c.amd64, c.arm64) >= maxSystemCall {
			t.Errorf("%s has a number from %d on", c.name, maxSystemCall)
		}
	}
}

// code is memory that has an instruction at 0x1000.
type code uint32

func (c code) ReadAt(b []byte, addr memory.Address) (int, error) {
	if addr != 0x1000 {
		return 0, memory.Unreadable(addr, memory.ErrNotMapped)
	}
	var all [4]byte
	binary.LittleEndian.PutUint32(all[:], uint32(c))
	return copy(b, all[:]), nil
}

// Registers show a system call only if the thread is at the instruction that enters
// the kernel.
func TestSystemCallInRegisters(t *testing.T) {
	amd64 := func(pc, call, first, second uint64) *Thread {
		return thread(elfcore.MachineAMD64, map[int]uint64{elfcore.AMD64RIP: pc, elfcore.AMD64OrigRAX: call, elfcore.AMD64RDI: first, elfcore.AMD64RSI: second})
	}
	arm64 := func(pc, call, first, second uint64) *Thread {
		return thread(elfcore.MachineARM64, map[int]uint64{elfcore.ARM64PC: pc, 8: call, 0: first, 1: second})
	}
	const none = ^uint64(0)
	for _, c := range []struct {
		name      string
		th        *Thread
		code      code
		want      string // "" for none
		fd, child int    // -1 for none
	}{
		{"amd64 read", amd64(0x1002, 0, 5, 0), syscallAMD64, "read", 5, -1},
		{"amd64 of no name", amd64(0x1002, 600, 5, 0), syscallAMD64, "600", -1, -1},
		{"amd64 no call", amd64(0x1002, none, 5, 0), syscallAMD64, "", -1, -1},
		{"amd64 elsewhere", amd64(0x1002, 0, 5, 0), 0x9090, "", -1, -1},
		{"amd64 unreadable", amd64(0x2002, 0, 5, 0), syscallAMD64, "", -1, -1},
		{"amd64 bad descriptor", amd64(0x1002, 0, none, 0), syscallAMD64, "read", -1, -1},
		{"amd64 waitid of a process", amd64(0x1002, 247, idProcess, 70), syscallAMD64, "waitid", -1, 70},
		{"amd64 waitid of a descriptor", amd64(0x1002, 247, idDescriptor, 7), syscallAMD64, "waitid", 7, -1},
		{"amd64 wait4 of any child", amd64(0x1002, 61, none, 0), syscallAMD64, "wait4", -1, -1},
		{"arm64 read", arm64(0x1000, 63, 5, 0), svcARM64, "read", 5, -1},
		{"arm64 wait4", arm64(0x1000, 260, 70, 0), svcARM64, "wait4", -1, 70},
		{"arm64 elsewhere", arm64(0x1000, 63, 5, 0), 0xd503201f, "", -1, -1},
		{"arm64 no call", arm64(0x1000, 1<<20, 5, 0), svcARM64, "", -1, -1},
	} {
		call, ok := c.th.SystemCall(c.code)
		if ok != (c.want != "") || ok && call.String() != c.want {
			t.Errorf("%s: %v %v", c.name, call, ok)
			continue
		}
		if fd, known := call.Descriptor(); ok && (known != (c.fd >= 0) || known && fd != c.fd) {
			t.Errorf("%s: descriptor %d, %v", c.name, fd, known)
		}
		if pid, known := call.Child(); ok && (known != (c.child >= 0) || known && pid != c.child) {
			t.Errorf("%s: child %d, %v", c.name, pid, known)
		}
	}
}

func thread(machine uint16, registers map[int]uint64) *Thread {
	set, _ := elfcore.RegistersOf(machine)
	th := &Thread{Machine: machine, General: make([]byte, 8*set.Len)}
	for n, v := range registers {
		binary.LittleEndian.PutUint64(th.General[8*n:], v)
	}
	return th
}
