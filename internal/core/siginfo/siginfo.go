// Package siginfo names Linux's signals, and the kernel's facts about them, for
// cores.
package siginfo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// names are the signal names of amd64 and arm64 (man 7 signal), by number.
var names = [...]string{
	1: "hup", 2: "int", 3: "quit", 4: "ill", 5: "trap", 6: "abrt", 7: "bus", 8: "fpe", 9: "kill", 10: "usr1",
	11: "segv", 12: "usr2", 13: "pipe", 14: "alrm", 15: "term", 16: "stkflt", 17: "chld", 18: "cont", 19: "stop", 20: "tstp",
	21: "ttin", 22: "ttou", 23: "urg", 24: "xcpu", 25: "xfsz", 26: "vtalrm", 27: "prof", 28: "winch", 29: "io", 30: "pwr", 31: "sys",
}

// dumping are the signals whose default action makes the kernel write a core.
var dumping = []int{3, 4, 5, 6, 7, 8, 11, 24, 25, 31}

// Reason returns the reason of a capture of a program that a signal ended:
// "signal-sigsegv".
func Reason(sig int) string { return "signal-" + Name(sig) }

// Name returns the name of a signal, "sigsegv", or its number if it has none.
func Name(sig int) string {
	if sig > 0 && sig < len(names) {
		return "sig" + names[sig]
	}
	return strconv.Itoa(sig)
}

// Number returns the number of the signal of that name, 0 if there is none.
func Number(name string) int {
	short, ok := strings.CutPrefix(name, "sig")
	if !ok || short == "" {
		return 0
	}
	return max(slices.Index(names[:], short), 0)
}

// Dumps reports whether the default action of a signal makes the kernel write a
// core. A full core may name another signal: a debugger names the one by which
// it stopped the program.
func Dumps(sig int) bool { return slices.Contains(dumping, sig) }

// faultCodes are the values of si_code for the signals that a fault raises,
// from 1 on (man 2 sigaction).
var faultCodes = map[int32][]string{
	4:  {"ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC", "ILL_BADSTK"},
	7:  {"BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"},
	8:  {"FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV", "FPE_FLTSUB"},
	11: {"SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR"},
}

// sentCodes are the codes of signals that a process sent.
var sentCodes = map[int32]string{0: "SI_USER", -1: "SI_QUEUE", -6: "SI_TKILL"}

// Facts returns the facts about the signal that ended the program for a core's
// record: which fault raised it and at which address, or who sent it.
func Facts(s *elfcore.SigInfo) []note.Pair {
	if s == nil || !Dumps(int(s.Signal)) {
		return nil
	}
	if sent, ok := sentCodes[s.Code]; ok {
		sender := fmt.Sprintf("process %d of user %d", uint32(s.Addr), s.Addr>>32)
		return []note.Pair{{Key: "signal-code", Value: sent}, {Key: "signal-sender", Value: sender}}
	}
	if names := faultCodes[s.Signal]; s.Code > 0 && int(s.Code) <= len(names) {
		facts := []note.Pair{{Key: "signal-code", Value: names[s.Code-1]}}
		if s.Addr != 0 {
			facts = append(facts, note.Pair{Key: "fault-address", Value: fmt.Sprintf("%#x", s.Addr)})
		}
		return facts
	}
	return []note.Pair{{Key: "signal-code", Value: strconv.Itoa(int(s.Code))}}
}
