package meminspect

import "sync"

// snapshotLock orders calls of Snapshot.
var snapshotLock sync.Mutex

// Snapshot asks the supervisor of this program for a capture and waits until it is
// taken, so that the core has the state of this moment. It reports whether the
// supervisor took it. It returns false after at most three seconds if the
// supervisor is busy or its rate limit is reached, and at once if there is no
// supervisor. The program continues in either case.
//
// The core has the reason; the name of its file has a shortened one. Concurrent
// calls wait for each other.
func Snapshot(reason string) bool {
	snapshotLock.Lock()
	defer snapshotLock.Unlock()
	return snapshot(reason)
}
