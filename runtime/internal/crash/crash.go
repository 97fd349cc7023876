// Package crash is the door between package meminspect, which keeps the
// anchor, and package monitor, which makes a crash socket of its own.
package crash

// Adopt makes the socket with that descriptor and inode the place to which the
// runtime copies a fatal report, notes it in the anchor, and closes the
// descriptor given. It reports whether the runtime took it. Package meminspect
// sets it; it is nil where there are no crash sockets.
var Adopt func(fd int, inode uint64) bool

// Adopted tells whether there is a crash socket already.
var Adopted func() bool
