package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Check is the result of checking one requirement of a capture.
type Check struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Note string `json:"note,omitempty"` // the finding
	Fix  string `json:"fix,omitempty"`  // what to do if it is not OK
}

// DiagnoseHost reports what this host and this process' permissions allow.
func DiagnoseHost() []Check {
	checks := []Check{yama(), ownRights(), ownSeccomp()}
	return append(checks, kernelAllows()...)
}

// Diagnose checks whether a capture of a process would work, and reports what
// prevents it. It tries each step and does not change the process.
func Diagnose(pid int) []Check {
	p, err := process.Open(pid)
	if err != nil {
		fix := ""
		if errors.Is(err, process.ErrGone) {
			fix = "look its number up again; in a container it has another one than on the host"
		}
		return []Check{{What: "process", Note: err.Error(), Fix: fix}}
	}
	defer p.Close()
	status, err := p.Status()
	if err != nil {
		return []Check{{What: "process", Note: err.Error()}}
	}
	checks := []Check{{What: "process", OK: true, Note: fmt.Sprintf("%d %s", pid, status["Name"])}}
	stat, statErr := p.Stat()
	if statErr == nil && stat.Dead() {
		return append(checks, Check{What: "alive", Note: "it has ended and waits for its parent to notice", Fix: "its memory is gone"})
	}
	read := canRead(p)
	if statErr == nil && !read.OK {
		switch {
		case stat.Exiting:
			return append(checks, Check{What: "alive", Note: "it is ending", Fix: "its memory is gone"})
		case stat.Kernel:
			return append(checks, Check{What: "kernel thread", Note: "a kernel thread has no user memory"})
		}
	}
	if !read.OK {
		checks = append(checks, read)
		return append(checks, reasons(p, status)...)
	}
	checks = append(checks, read, goProgram(p))
	return append(checks, canStop(p, status))
}

// canRead tries both ways to read the process' memory.
func canRead(p *process.Process) Check {
	c := Check{What: "read memory"}
	maps, err := p.Maps()
	if err != nil {
		c.Note = err.Error()
		return c
	}
	for _, m := range maps {
		if !m.Read || strings.HasPrefix(m.Path, "[v") {
			continue
		}
		var b [1]byte
		if _, err := p.Memory().ReadAt(b[:], m.Start); err != nil {
			c.Note = err.Error()
			return c
		}
		c.OK, c.Note = true, "yes"
		return c
	}
	c.Note = "the kernel shows no mapping of it"
	return c
}

// goProgram checks whether the program is a readable Go program.
func goProgram(p *process.Process) Check {
	c := Check{What: "program", Fix: "only 64-bit Go programs for amd64 and arm64 are read"}
	f, err := exe.Open(p.ExePath())
	if err != nil {
		c.Note = err.Error()
		if errors.Is(err, fs.ErrPermission) {
			c.Fix = "let this user read the program's file (chmod a+r), or run as its owner"
		}
		return c
	}
	defer f.Close()
	prog, err := module.OfFile(f)
	if err != nil {
		return goLibrary(p, err)
	}
	c.OK, c.Fix, c.Note = true, "", prog.Version.Text
	if locate.UsesCgo(prog) {
		c.Note += ", with cgo: it is not stopped unless asked (--stop)"
	}
	if _, err := f.Symbols(); err != nil {
		c.Note += ", stripped"
	}
	return c
}

// goLibrary checks whether a program that is not written in Go, as notGo reports,
// has loaded Go code.
func goLibrary(p *process.Process, notGo error) Check {
	live, err := locate.Open(p.PID)
	if err == nil {
		defer live.Close()
		var program *locate.Program
		if program, err = locate.Locate(live, &model.Options{}); err == nil {
			return Check{What: "program", OK: true, Note: program.Runtime.Version.Text + " in a shared library: it is not stopped unless asked (--stop)"}
		}
	}
	return Check{What: "program", Note: notGo.Error(), Fix: "only 64-bit Go programs for amd64 and arm64 are read"}
}

func canStop(p *process.Process, status map[string]string) Check {
	c := Check{What: "stop", OK: true, Note: "yes"}
	if tracer, name := p.TracedBy(); tracer != 0 {
		c.OK = false
		c.Note = fmt.Sprintf("process %d (%s) traces it", tracer, name)
		c.Fix = process.TracerAdvice(name, p.PID)
		return c
	}
	if err := process.Ptrace.Filtered(); err != nil {
		c.OK, c.Note = false, "no; see seccomp above"
		c.Fix = "a capture does not stop it then, and records no registers"
		return c
	}
	if n, err := strconv.Atoi(status["Seccomp"]); err == nil && n == 1 {
		c.Note = "yes; it runs in strict seccomp mode"
	}
	return c
}

// reasons returns the kernel's rules that forbid reading the memory (man
// ptrace, "Ptrace access mode checking").
func reasons(p *process.Process, status map[string]string) []Check {
	var out []Check
	add := func(what, note, fix string) { out = append(out, Check{What: what, Note: note, Fix: fix}) }
	powerful := hasPtraceCap()
	uids := strings.Fields(status["Uid"])
	me := strconv.Itoa(os.Geteuid())
	same := len(uids) == 4 && uids[0] == me && uids[1] == me && uids[2] == me
	if !same && !powerful {
		add("user", fmt.Sprintf("it runs as user %s, this is user %s", strings.Join(uids, "/"), me),
			"run as that user, or with CAP_SYS_PTRACE")
	}
	if other := differentUserNamespace(p); other {
		add("user namespace", "it lives in another user namespace", "run inside its container (kubectl debug, docker exec), or as root of the host")
	}
	if owner, err := ownerOf(p.PID); err == nil && len(uids) == 4 && strconv.Itoa(owner) != uids[1] && !powerful {
		add("dumpable", "the kernel has made it private: its binary has file capabilities or mode 0711, is set-user-ID, or it changed its user or called prctl(PR_SET_DUMPABLE, 0)",
			"let the program call prctl(PR_SET_DUMPABLE, 1), give its binary mode 0755 and no capabilities, or run with CAP_SYS_PTRACE")
	}
	if lacks := capabilities(status["CapPrm"]) &^ capabilities(ownStatus()["CapEff"]); lacks != 0 && !powerful {
		add("capabilities", fmt.Sprintf("it has capabilities that this process lacks (mask %#x)", lacks),
			"run with the same capabilities, or with CAP_SYS_PTRACE")
	}
	if scope, ok := yamaScope(); ok && scope > 0 && (!powerful || scope == 3) {
		out = append(out, yama())
	}
	if c := ownSeccomp(); !c.OK {
		out = append(out, c)
	}
	for _, label := range []string{"attr/apparmor/current", "attr/current"} {
		text, err := os.ReadFile(filepath.Join(process.Dir(p.PID), label))
		name := strings.TrimRight(string(bytes.TrimRight(text, "\x00")), "\n")
		if err == nil && name != "" && name != "unconfined" && name != "kernel" {
			add("security module", "it is confined as "+name, "its AppArmor or SELinux profile must allow ptrace (read) by this process' profile")
			break
		}
	}
	if len(out) == 0 {
		add("rights", "none of the known rules forbids it; a security module of the kernel may", "look into the kernel's log (dmesg, journalctl -k)")
	}
	return out
}

func yamaScope() (int, bool) {
	text, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}

// yama reports what the Yama security module allows.
func yama() Check {
	c := Check{What: "Yama", OK: true}
	scope, ok := yamaScope()
	switch {
	case !ok:
		c.Note = "this kernel does not have it"
	case scope == 0:
		c.Note = "ptrace_scope 0: processes of the same user may be read"
	case hasPtraceCap() && scope < 3:
		c.Note = fmt.Sprintf("ptrace_scope %d, which CAP_SYS_PTRACE overrules", scope)
	case scope == 1:
		c.OK, c.Note = false, "ptrace_scope 1: a process may read its own children only"
		c.Fix = "start the program by `meminspect run`, let it call monitor.Start, run with CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope=0"
	case scope == 2:
		c.OK, c.Note = false, "ptrace_scope 2: CAP_SYS_PTRACE is needed"
		c.Fix = "run with CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope to 1 or 0"
	default:
		c.OK, c.Note = false, "ptrace_scope 3: no process may read another until the next boot"
		c.Fix = "boot with another setting; the program can still write cores itself (package coreimage)"
	}
	return c
}

const capSysPtrace = 19

func hasPtraceCap() bool { return capabilities(ownStatus()["CapEff"])&(1<<capSysPtrace) != 0 }

// capabilities parses a mask of /proc/PID/status; anything else is the empty mask.
func capabilities(mask string) uint64 {
	caps, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		return 0
	}
	return caps
}

func ownRights() Check {
	c := Check{What: "rights", OK: true, Note: "user " + strconv.Itoa(os.Geteuid())}
	if hasPtraceCap() {
		c.Note += ", with CAP_SYS_PTRACE: any process may be read"
	} else {
		c.Note += ", without CAP_SYS_PTRACE: processes of this user may be read"
	}
	return c
}

func ownSeccomp() Check {
	c := Check{What: "seccomp", OK: true, Note: "no filter on this process"}
	if ownStatus()["Seccomp"] != "2" {
		return c
	}
	c.Note = "a filter on this process lets its calls through"
	var stopped []string
	for _, call := range []process.Call{process.Ptrace, process.ReadMemory} {
		var killed *process.KilledError
		switch err := call.Filtered(); {
		case errors.As(err, &killed):
			stopped = append(stopped, fmt.Sprintf("kills it for %v", call))
		case err != nil:
			stopped = append(stopped, fmt.Sprintf("refuses %v (%v)", call, err))
		}
	}
	if len(stopped) > 0 {
		c.OK = false
		c.Note = "a filter on this process " + strings.Join(stopped, ", ") + ": captures work without that, as far as they can"
		c.Fix = "allow ptrace and process_vm_readv: in a unit of systemd with a line SystemCallFilter=@debug process_vm_readv, in a container with its seccomp profile (both are in the default profiles of Docker since 19.03 on Linux 4.8)"
	}
	return c
}

// kernelAllows tries both ways of reading on this process itself.
func kernelAllows() []Check {
	c := Check{What: "kernel", OK: true, Note: kernelRelease()}
	if process.ReadMemory.Filtered() != nil {
		return []Check{c} // what a filter does is not the kernel's
	}
	if err := process.Allowed(); err != nil {
		c.OK, c.Note = false, err.Error()
		c.Fix = "a kernel with CONFIG_CROSS_MEMORY_ATTACH"
	}
	return []Check{c}
}

func ownStatus() map[string]string {
	p, err := process.Open(os.Getpid())
	if err != nil {
		return nil
	}
	defer p.Close()
	status, err := p.Status()
	if err != nil {
		return nil
	}
	return status
}

// differentUserNamespace reports whether a process is in another user namespace than
// this one. If its name may not be read, the maps of users show it: each is of the
// process' namespace, as seen from the reader's.
func differentUserNamespace(p *process.Process) bool {
	for _, file := range []string{"ns/user", "uid_map"} {
		read := func(pid string) (string, error) {
			name := filepath.Join("/proc", pid, file)
			if file == "ns/user" {
				return os.Readlink(name)
			}
			text, err := os.ReadFile(name)
			return string(text), err
		}
		mine, err1 := read("self")
		its, err2 := read(strconv.Itoa(p.PID))
		if err1 == nil && err2 == nil {
			return mine != its
		}
	}
	return false
}
