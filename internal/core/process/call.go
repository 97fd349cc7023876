package process

import "fmt"

// A Call is a system call that captures make, and that seccomp filters often leave out. A
// filter may kill the process that makes the call: systemd's SystemCallFilter= does so by
// default. Check [Call.Killed] before each use.
type Call int

// The calls. All others that captures make are made by every Go program, or by
// every program that writes files.
const (
	Ptrace       Call = iota
	ReadMemory        // process_vm_readv
	CompareFiles      // kcmp
	OpenPidfd         // pidfd_open
)

var callNames = [...]string{Ptrace: "ptrace", ReadMemory: "process_vm_readv", CompareFiles: "kcmp", OpenPidfd: "pidfd_open"}

func (c Call) String() string { return callNames[c] }

// A KilledError reports a call that was not made because a seccomp filter would have
// killed this process for it. It wraps EPERM.
type KilledError struct{ Call Call }

func (e *KilledError) Error() string {
	return fmt.Sprintf("a seccomp filter kills a process that calls %v", e.Call)
}
