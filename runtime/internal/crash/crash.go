// Package crash is the door between package meminspect, which keeps the anchor,
// and package monitor, which starts a supervisor from inside.
package crash

// Register makes a crash socket, gives its other end to the supervisor at the
// channel with that descriptor, makes it the place to which the runtime copies a
// fatal report, and records it in the anchor. It reports whether all of that
// succeeded. Package meminspect sets it; it is nil where there are no crash
// sockets.
var Register func(channel int) bool

// Registered reports whether that has been done.
var Registered func() bool
