// Package store keeps what the shop sells.
package store

import "fmt"

// BlockSize is the size of a block, in bytes.
const BlockSize = 4096

//meminspect:entry
var items = map[string]Item{}

//meminspect:exclude
type credentials struct {
	user, password string
}

//meminspect:exclude
var session credentials

// Item is one of a kind.
type Item struct {
	Name string
	cost struct {
		//meminspect:exclude
		supplier string
		cents    int64
	}
}

//meminspect:id Snapshot

// Describe returns the names of the store's IDs.
func Describe() string {
	items["tea"] = Item{Name: "tea"}
	session.user, session.password = "a", "b"
	_ = items["tea"].cost.supplier
	_ = items["tea"].cost.cents
	return fmt.Sprint(idItems, IDSnapshot, idHandle, fromC())
}
