// Package goroutine finds and reads the goroutines of a Go program seen from
// outside: the list that the runtime keeps, each runtime.g, and the bounds of
// each stack.
//
// Layouts differ between Go releases, and are the same on amd64 and arm64. A test in
// internal/gocore/facts compares them with the source of each release.
package goroutine

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Layout gives the offsets in runtime.g and runtime.m that differ between
// releases; -1 where there is no such field.
type Layout struct {
	Size       int // of runtime.g
	schedBP    int // sched.lr precedes it
	syscallSP  int
	syscallPC  int
	syscallBP  int
	status     int
	goid       int
	waitSince  int
	waitReason int
	lockedM    int
	secret     int
	sigCode1   int
	parentGoid int
	goPC       int
	startPC    int
	labels     int
	sleepUntil int // from Go 1.23: sleepWhen, the second word after labels
	waiting    int
	panicArg   int // in runtime._panic
	panicStart int // startPC; startSP follows
	MSize      int // of runtime.m
	mProcID    int
	mGSignal   int
	mCurG      int
	mID        int
}

// Offsets that all releases share.
const (
	gStackLo = 0
	gStackHi = 8
	gPanic   = 32
	gM       = 48
	gSchedSP = 56
	gSchedPC = 64
	gSchedG  = 72

	mG0 = 0
)

// LayoutOf returns the layout of a release that module.ParseVersion accepted.
func LayoutOf(v module.Version) (Layout, error) {
	switch v.Minor {
	case 21:
		l := oldLayout
		l.Size, l.MSize, l.panicStart = 408, 1008, -1
		return l, nil
	case 22:
		l := oldLayout
		l.Size, l.MSize = 424, 2024
		return l, nil
	case 23:
		l := syscallBPLayout
		l.Size, l.MSize = 432, 1784
		return l, nil
	case 24:
		l := syscallBPLayout
		l.Size, l.MSize = 440, 1832
		return l, nil
	case 25:
		return shortGobufLayout, nil
	case 26:
		l := secretLayout
		l.MSize = 1824
		return l, nil
	case 27:
		l := secretLayout
		l.MSize = 1832
		return l, nil
	}
	return Layout{}, fmt.Errorf("goroutines of %s: unknown layout", v.Text)
}

// Until Go 1.22.
var oldLayout = Layout{
	schedBP: 104, syscallSP: 112, syscallPC: 120, syscallBP: -1, status: 144, goid: 152,
	waitSince: 168, waitReason: 176, lockedM: 208, secret: -1, sigCode1: 256, parentGoid: 272, goPC: 280, startPC: 296, labels: 344, sleepUntil: -1, waiting: 312,
	mProcID: 72, mGSignal: 80, mCurG: 192, mID: 232,
	panicArg: 8, panicStart: 32,
}

// Go 1.23 and 1.24: syscallbp came.
var syscallBPLayout = Layout{
	schedBP: 104, syscallSP: 112, syscallPC: 120, syscallBP: 128, status: 152, goid: 160,
	waitSince: 176, waitReason: 184, lockedM: 216, secret: -1, sigCode1: 264, parentGoid: 280, goPC: 288, startPC: 304, labels: 352, sleepUntil: 368, waiting: 320,
	mProcID: 72, mGSignal: 80, mCurG: 192, mID: 232,
	panicArg: 8, panicStart: 32,
}

// Go 1.25: gobuf.ret went.
var shortGobufLayout = Layout{
	Size: 440, MSize: 1816,
	schedBP: 96, syscallSP: 104, syscallPC: 112, syscallBP: 120, status: 144, goid: 152,
	waitSince: 168, waitReason: 176, lockedM: 208, secret: -1, sigCode1: 256, parentGoid: 272, goPC: 280, startPC: 296, labels: 344, sleepUntil: 360, waiting: 312,
	mProcID: 64, mGSignal: 72, mCurG: 184, mID: 224,
	panicArg: 8, panicStart: 32,
}

// From Go 1.26: secret came.
var secretLayout = Layout{
	Size:    456,
	schedBP: 96, syscallSP: 104, syscallPC: 112, syscallBP: 120, status: 144, goid: 152,
	waitSince: 168, waitReason: 176, lockedM: 208, secret: 228, sigCode1: 264, parentGoid: 280, goPC: 288, startPC: 304, labels: 352, sleepUntil: 368, waiting: 320,
	mProcID: 64, mGSignal: 72, mCurG: 184, mID: 232,
	panicArg: 0, panicStart: 24,
}

// FaultAddress returns the offset of the address of the last fault in a runtime.g.
func (l Layout) FaultAddress() int { return l.sigCode1 }
