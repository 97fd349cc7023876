// Package store keeps.
package store

import "sync"

//meminspect:entry
var items struct {
	sync.Mutex
	all  map[string][]byte
	hits [256]uint32
}

//meminspect:entry
var big [1 << 20]uint32

// Put keeps b.
func Put(key string, b []byte) {
	items.Lock()
	defer items.Unlock()
	if items.all == nil {
		items.all = map[string][]byte{}
	}
	items.all[key] = b
	big[len(key)]++
}
