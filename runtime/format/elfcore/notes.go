package elfcore

import (
	"encoding/binary"
	"fmt"
)

// Types of the notes that Linux writes (include/uapi/linux/elf.h), with their
// owners.
const (
	NTPrStatus uint32 = 1          // CORE, one per thread; the first is the current one
	NTFPRegSet uint32 = 2          // CORE
	NTPrPsInfo uint32 = 3          // CORE
	NTAuxv     uint32 = 6          // CORE, a copy of /proc/PID/auxv
	NTFile     uint32 = 0x46494c45 // CORE
	NTSigInfo  uint32 = 0x53494749 // CORE
	NTX86State uint32 = 0x202      // LINUX

	OwnerCore       = "CORE"
	OwnerLinux      = "LINUX"
	OwnerVMCoreInfo = "VMCOREINFO" // type 0, plain text
	NTVMCoreInfo    = uint32(0)
)

// A Thread is the content of a PRSTATUS note.
type Thread struct {
	TID, PPID, PGRP, SID int32
	Signal               int16    // that ended or stopped it, 0 = none
	Registers            []uint64 // RegistersAMD64 or RegistersARM64 elements, in the kernel's order
	FPValid              bool     // an NT_FPREGSET note follows
}

// Note returns t's PRSTATUS note (struct elf_prstatus):
//
//	0   si_signo, si_code, si_errno   i32 each
//	12  pr_cursig                     i16, 2 bytes of padding
//	16  pr_sigpend, pr_sighold        u64 each
//	32  pr_pid, pr_ppid, pr_pgrp, pr_sid   i32 each
//	48  utime, stime, cutime, cstime  16 bytes each
//	112 the registers                 u64 each
//	    pr_fpvalid                    i32, 4 bytes of padding
func (t *Thread) Note() Note {
	le := binary.LittleEndian
	b := make([]byte, 112, 112+8*len(t.Registers)+8)
	le.PutUint32(b, uint32(t.Signal))
	le.PutUint16(b[12:], uint16(t.Signal))
	le.PutUint32(b[32:], uint32(t.TID))
	le.PutUint32(b[36:], uint32(t.PPID))
	le.PutUint32(b[40:], uint32(t.PGRP))
	le.PutUint32(b[44:], uint32(t.SID))
	for _, r := range t.Registers {
		b = le.AppendUint64(b, r)
	}
	var fp uint64
	if t.FPValid {
		fp = 1
	}
	b = le.AppendUint64(b, fp)
	return Note{Name: OwnerCore, Type: NTPrStatus, Desc: b}
}

// ParseThread reads a PRSTATUS descriptor. The number of registers follows from
// its length.
func ParseThread(desc []byte) (*Thread, error) {
	if len(desc) < 120 || len(desc)%8 != 0 {
		return nil, fmt.Errorf("PRSTATUS note of %d bytes", len(desc))
	}
	le := binary.LittleEndian
	t := &Thread{
		Signal: int16(le.Uint16(desc[12:])),
		TID:    int32(le.Uint32(desc[32:])),
		PPID:   int32(le.Uint32(desc[36:])),
		PGRP:   int32(le.Uint32(desc[40:])),
		SID:    int32(le.Uint32(desc[44:])),
	}
	for at := 112; at+8 < len(desc); at += 8 {
		t.Registers = append(t.Registers, le.Uint64(desc[at:]))
	}
	t.FPValid = le.Uint32(desc[len(desc)-8:]) != 0
	return t, nil
}

// A Process is the content of a PRPSINFO note.
type Process struct {
	State                uint8 // index into SName's letters: 0 = running
	SName                byte  // 'R', 'S', 'D', 'T', 'Z'
	Nice                 int8
	UID, GID             uint32
	PID, PPID, PGRP, SID int32
	Name                 string // of the program; truncated to 15 bytes
	Args                 string // beginning of the command line; truncated to 79 bytes
}

// Note returns p's PRPSINFO note (struct elf_prpsinfo, 136 bytes):
//
//	0   pr_state, pr_sname, pr_zomb, pr_nice   one byte each, 4 bytes of padding
//	8   pr_flag                                u64
//	16  pr_uid, pr_gid                         u32 each
//	24  pr_pid, pr_ppid, pr_pgrp, pr_sid       i32 each
//	40  pr_fname                               16 bytes
//	56  pr_psargs                              80 bytes
func (p *Process) Note() Note {
	le := binary.LittleEndian
	b := make([]byte, 136)
	b[0], b[1], b[3] = p.State, p.SName, byte(p.Nice)
	if p.SName == 'Z' {
		b[2] = 1
	}
	le.PutUint32(b[16:], p.UID)
	le.PutUint32(b[20:], p.GID)
	le.PutUint32(b[24:], uint32(p.PID))
	le.PutUint32(b[28:], uint32(p.PPID))
	le.PutUint32(b[32:], uint32(p.PGRP))
	le.PutUint32(b[36:], uint32(p.SID))
	copy(b[40:55], p.Name)
	copy(b[56:135], p.Args)
	return Note{Name: OwnerCore, Type: NTPrPsInfo, Desc: b}
}

// ParseProcess reads a PRPSINFO descriptor.
func ParseProcess(desc []byte) (*Process, error) {
	if len(desc) < 136 {
		return nil, fmt.Errorf("PRPSINFO note of %d bytes", len(desc))
	}
	le := binary.LittleEndian
	return &Process{
		State: desc[0],
		SName: desc[1],
		Nice:  int8(desc[3]),
		UID:   le.Uint32(desc[16:]),
		GID:   le.Uint32(desc[20:]),
		PID:   int32(le.Uint32(desc[24:])),
		PPID:  int32(le.Uint32(desc[28:])),
		PGRP:  int32(le.Uint32(desc[32:])),
		SID:   int32(le.Uint32(desc[36:])),
		Name:  cString(desc[40:56]),
		Args:  cString(desc[56:136]),
	}, nil
}

// A Mapping is a line of NT_FILE. Delve takes every mapping in it for the
// executable, so list only the executable's.
type Mapping struct {
	Start, End uint64
	Offset     uint64 // in the file, bytes, a multiple of the page size
	Path       string
}

// FilePageSize is the unit of the offsets in NT_FILE notes that this package
// writes.
const FilePageSize = 4096

// FileNote returns the NT_FILE note for ms:
//
//	count u64, page size u64
//	count times start u64, end u64, offset in pages u64
//	count times the path and a NUL
func FileNote(ms []Mapping) Note {
	le := binary.LittleEndian
	b := le.AppendUint64(nil, uint64(len(ms)))
	b = le.AppendUint64(b, FilePageSize)
	for _, m := range ms {
		b = le.AppendUint64(b, m.Start)
		b = le.AppendUint64(b, m.End)
		b = le.AppendUint64(b, m.Offset/FilePageSize)
	}
	for _, m := range ms {
		b = append(b, m.Path...)
		b = append(b, 0)
	}
	return Note{Name: OwnerCore, Type: NTFile, Desc: b}
}

// ParseFiles reads an NT_FILE descriptor.
func ParseFiles(desc []byte) ([]Mapping, error) {
	le := binary.LittleEndian
	if len(desc) < 16 {
		return nil, fmt.Errorf("NT_FILE note of %d bytes", len(desc))
	}
	count, page := le.Uint64(desc), le.Uint64(desc[8:])
	if count > uint64(len(desc)-16)/24 {
		return nil, fmt.Errorf("NT_FILE note of %d bytes claims %d mappings", len(desc), count)
	}
	ms := make([]Mapping, count)
	at := 16
	for i := range ms {
		ms[i].Start, ms[i].End = le.Uint64(desc[at:]), le.Uint64(desc[at+8:])
		ms[i].Offset = le.Uint64(desc[at+16:]) * page
		at += 24
	}
	for i := range ms {
		ms[i].Path = cString(desc[at:])
		at += len(ms[i].Path) + 1
		if at > len(desc) {
			return nil, fmt.Errorf("NT_FILE note ends within the path of mapping %d", i)
		}
	}
	return ms, nil
}

// SigInfo is the head of a siginfo_t.
type SigInfo struct {
	Signal, Errno, Code int32
	Addr                uint64 // of the fault, for SIGSEGV, SIGBUS, SIGFPE and SIGILL; else pid and uid
}

// Note returns s's NT_SIGINFO note: signo, errno, code i32 each, 4 bytes of
// padding, then the union; 128 bytes in all.
func (s *SigInfo) Note() Note {
	le := binary.LittleEndian
	b := make([]byte, 128)
	le.PutUint32(b, uint32(s.Signal))
	le.PutUint32(b[4:], uint32(s.Errno))
	le.PutUint32(b[8:], uint32(s.Code))
	le.PutUint64(b[16:], s.Addr)
	return Note{Name: OwnerCore, Type: NTSigInfo, Desc: b}
}

// ParseSigInfo reads an NT_SIGINFO descriptor.
func ParseSigInfo(desc []byte) (*SigInfo, error) {
	if len(desc) < 24 {
		return nil, fmt.Errorf("SIGINFO note of %d bytes", len(desc))
	}
	le := binary.LittleEndian
	return &SigInfo{
		Signal: int32(le.Uint32(desc)),
		Errno:  int32(le.Uint32(desc[4:])),
		Code:   int32(le.Uint32(desc[8:])),
		Addr:   le.Uint64(desc[16:]),
	}, nil
}

// AuxvNote returns the NT_AUXV note with the content of /proc/PID/auxv. Delve
// takes the load address of a PIE from its AT_ENTRY.
func AuxvNote(auxv []byte) Note { return Note{Name: OwnerCore, Type: NTAuxv, Desc: auxv} }

// FPRegSetNote returns the NT_FPREGSET note for the bytes of PTRACE_GETFPREGS.
func FPRegSetNote(regs []byte) Note { return Note{Name: OwnerCore, Type: NTFPRegSet, Desc: regs} }

// X86StateNote returns the NT_X86_XSTATE note for the bytes that
// PTRACE_GETREGSET returns for it.
func X86StateNote(state []byte) Note { return Note{Name: OwnerLinux, Type: NTX86State, Desc: state} }

// ARMTLSNote returns the NT_ARM_TLS note for an arm64 thread pointer.
func ARMTLSNote(pointer uint64) Note {
	return Note{Name: OwnerLinux, Type: NTARMTLS, Desc: binary.LittleEndian.AppendUint64(nil, pointer)}
}

// VMCoreInfoNote returns the VMCOREINFO note for a text.
func VMCoreInfoNote(text []byte) Note {
	return Note{Name: OwnerVMCoreInfo, Type: NTVMCoreInfo, Desc: text}
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
