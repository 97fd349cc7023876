// Package orders keeps the shop's orders.
package orders

import "encoding/binary"

// A Status is the progress of an order.
type Status uint8

// The statuses, in the order in which they come.
const (
	Placed Status = iota
	Packed
	Shipped
	Returned
)

// A Request is what a client orders.
type Request struct {
	SKU      uint32 `json:"sku"`
	Quantity int16  `json:"quantity"`
}

// An Order is a Request that was accepted.
type Order struct {
	ID       uint64
	Cents    int64
	SKU      uint32
	Quantity int16
	Status   Status
	Gift     bool
}

// A slot is one place of the queue.
type slot struct {
	order Order
	age   int32
}

// The first headerLen bytes of the arena have the length of what is written.
const headerLen = 16

//meminspect:entry name=OrdersTotal
var total int

//meminspect:entry
var byStatus [4]uint32

//meminspect:entry depth=0
var last Order

//meminspect:entry name=QueueHead member=head budget=4KiB
var queue struct {
	head slot
	rest [255]slot
}

//meminspect:area size=headerLen
var arena [1 << 20]byte

//meminspect:entry
var newest, oldest Status

// Place accepts an order and returns its number.
func Place(r Request, cents int64) uint64 {
	total++
	copy(queue.rest[1:], queue.rest[:])
	queue.rest[0] = queue.head
	done := &queue.rest[len(queue.rest)-1]
	done.order.Status = Status(done.order.ID % 4)
	byStatus[done.order.Status]++

	last = Order{ID: uint64(total), Cents: cents, SKU: r.SKU, Quantity: r.Quantity, Gift: r.Quantity == 1}
	queue.head = slot{order: last, age: -int32(total % 100)}
	newest, oldest = last.Status, done.order.Status

	record := (total % (len(arena)/headerLen - 1)) + 1
	binary.LittleEndian.PutUint64(arena[record*headerLen:], last.ID)
	binary.LittleEndian.PutUint64(arena[0:], uint64(record))
	binary.LittleEndian.PutUint64(arena[8:], last.ID)
	return last.ID
}

// Variables lists what is annotated here.
func Variables() map[string]any {
	header := arena[:headerLen]
	return map[string]any{
		"total":      &total,
		"byStatus":   &byStatus,
		"last":       &last,
		"queue.head": &queue.head,
		"arena":      &header,
		"newest":     &newest,
		"oldest":     &oldest,
	}
}
