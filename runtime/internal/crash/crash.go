// Package crash connects package meminspect, which owns the anchor, with
// package monitor, which starts a supervisor from inside the program.
package crash

import "sync/atomic"

// Register creates a crash socket, sends its other end to the supervisor over
// the channel with that descriptor, makes the runtime copy a fatal report to
// the socket, and records it in the anchor. It reports whether all of that
// succeeded. Package meminspect sets it; it is nil on systems without crash
// sockets.
var Register func(channel int) bool

// Registered reports whether Register has succeeded.
var Registered func() bool

// LastEnd is the program's last end, a string in the form of package lastend,
// as the supervisor of package monitor reports it.
var LastEnd atomic.Value
