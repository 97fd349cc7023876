package goroutine

import "strings"

// semaphores are where the objects of package sync have the semaphore for which a
// goroutine in this state waits. They are the same from Go 1.21 to 1.27.
var semaphores = []struct {
	state  string
	offset uint64
}{
	{"sync.Mutex.Lock", 4},
	{"sync.RWMutex.Lock", 8},
	{"sync.RWMutex.RLock", 12},
	{"sync.WaitGroup.Wait", 8},
	{"sync.Cond.Wait", 16},
	{"semacquire", 0},
}

// SemaphoreOffset returns the offset of the semaphore, for which a goroutine in this state
// waits, in its object. It reports false for other states.
func SemaphoreOffset(state string) (offset uint64, ok bool) {
	for _, s := range semaphores {
		if strings.HasPrefix(state, s.state) {
			return s.offset, true
		}
	}
	return 0, false
}
