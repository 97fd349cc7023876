package collector

import (
	"slices"
	"strconv"
)

// signalNames are Linux's on amd64 and arm64 (man 7 signal), by their numbers.
var signalNames = [...]string{
	1: "hup", 2: "int", 3: "quit", 4: "ill", 5: "trap", 6: "abrt", 7: "bus", 8: "fpe", 9: "kill", 10: "usr1",
	11: "segv", 12: "usr2", 13: "pipe", 14: "alrm", 15: "term", 16: "stkflt", 17: "chld", 18: "cont", 19: "stop", 20: "tstp",
	21: "ttin", 22: "ttou", 23: "urg", 24: "xcpu", 25: "xfsz", 26: "vtalrm", 27: "prof", 28: "winch", 29: "io", 30: "pwr", 31: "sys",
}

// dumping are the signals of which the kernel makes cores.
var dumping = []int{3, 4, 5, 6, 7, 8, 11, 24, 25, 31}

// SignalReason is the reason of a capture of a program that a signal of Linux
// ended: "signal-sigsegv".
func SignalReason(sig int) string {
	if sig > 0 && sig < len(signalNames) {
		return "signal-sig" + signalNames[sig]
	}
	return "signal-" + strconv.Itoa(sig)
}

// died reports whether a full core that names a signal was made because of it:
// a debugger names the one that it stopped the program by.
func died(sig int) bool { return slices.Contains(dumping, sig) }
