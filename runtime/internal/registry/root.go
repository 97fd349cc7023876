//go:build !meminspect_off

package registry

import "github.com/meminspect/meminspect/runtime/format/anchor"

var root = anchorData{
	magic:   [2]uint64{anchor.AnchorMagic0, anchor.AnchorMagic1},
	version: anchor.AnchorVersion,
	ptrSize: 4 << (^uintptr(0) >> 63),
}

// Off reports at compile time whether the program was built with the tag
// meminspect_off.
const Off = false

// CrashFD returns the descriptor of the crash socket, 0 if there is none.
func CrashFD() int { return int(root.crashFD.Load()) }

// SetCrashFD publishes the descriptor of the crash socket.
func SetCrashFD(fd int) { root.crashFD.Store(int64(fd)) }

// RequestSnapshot publishes a request for a capture. Calls must not overlap.
func RequestSnapshot(reason string) {
	root.reason = reason
	root.snapshots.Add(1)
}
