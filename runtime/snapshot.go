package meminspect

import "sync"

// snapshotLock serializes calls of Snapshot.
var snapshotLock sync.Mutex

// Snapshot asks this program's supervisor for a capture and waits until it is
// done, so that the core has the state of this moment. It reports whether the
// supervisor made it. It returns false after at most three seconds if the
// supervisor is busy or its rate limit is reached, and at once if there is no
// supervisor. The program continues in either case.
//
// The core records the reason; its file name contains a shortened one.
// Concurrent calls wait for each other.
func Snapshot(reason string) bool {
	snapshotLock.Lock()
	defer snapshotLock.Unlock()
	return snapshot(reason)
}
