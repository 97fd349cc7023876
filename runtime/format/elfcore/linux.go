package elfcore

import "fmt"

// NTARMTLS is the type of the note with the thread pointer of an arm64 thread
// (owner LINUX).
const NTARMTLS uint32 = 0x401

// Linux is the content of a core's Linux notes. Fields without a note are nil
// or empty.
type Linux struct {
	Process *Process
	Signal  *SigInfo // the first such note: the signal that ended the process
	Threads []LinuxThread
	Files   []Mapping
	Auxv    []byte
}

// A LinuxThread is a thread with the register sets whose notes follow its
// PRSTATUS, in the kernel's format.
type LinuxThread struct {
	Thread
	Float  []byte // NT_FPREGSET
	XState []byte // NT_X86_XSTATE
	TLS    []byte // NT_ARM_TLS
}

// Linux reads the notes that the kernel, gdb and Delve write. Delve gives its
// notes no owner.
func (f *File) Linux() (*Linux, error) {
	l := &Linux{}
	for i := range f.Notes {
		if n := &f.Notes[i]; n.Name == OwnerCore || n.Name == OwnerLinux || n.Name == "" {
			if err := l.note(n); err != nil {
				return nil, fmt.Errorf("note %d, %s/%#x: %w", i, n.Name, n.Type, err)
			}
		}
	}
	return l, nil
}

func (l *Linux) note(n *Note) (err error) {
	var last *LinuxThread
	if len(l.Threads) > 0 {
		last = &l.Threads[len(l.Threads)-1]
	}
	switch {
	case n.Type == NTPrStatus:
		var t *Thread
		if t, err = ParseThread(n.Desc); err == nil {
			l.Threads = append(l.Threads, LinuxThread{Thread: *t})
		}
	case n.Type == NTPrPsInfo:
		l.Process, err = ParseProcess(n.Desc)
	case n.Type == NTSigInfo && l.Signal == nil:
		l.Signal, err = ParseSigInfo(n.Desc)
	case n.Type == NTFile:
		l.Files, err = ParseFiles(n.Desc)
	case n.Type == NTAuxv:
		l.Auxv = n.Desc
	case last == nil:
	case n.Type == NTFPRegSet:
		last.Float = n.Desc
	case n.Type == NTX86State:
		last.XState = n.Desc
	case n.Type == NTARMTLS:
		last.TLS = n.Desc
	}
	return err
}
