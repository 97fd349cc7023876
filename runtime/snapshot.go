package meminspect

import "sync"

// snapshotLock orders calls of Snapshot.
var snapshotLock sync.Mutex

// Snapshot asks the collector that watches this program for a capture, now,
// and waits until it was taken, so that the caller's state is in it as it
// stands here. It reports whether a collector took it: one that is absent, busy
// or out of its rate limit leaves false, after at most three seconds, and at
// once where the program has no collector. The program goes on in either case.
//
// The reason goes into the core and, shortened, into its file name. Calls wait
// for each other.
func Snapshot(reason string) bool {
	snapshotLock.Lock()
	defer snapshotLock.Unlock()
	return snapshot(reason)
}
