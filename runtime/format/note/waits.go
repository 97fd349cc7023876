package note

// TypeWaits is the type of the note that lists what goroutines wait for.
const TypeWaits uint32 = typeBase + 11 // []Wait

// A Wait is what a goroutine waits for: a channel, an object of package sync, a descriptor,
// or a system call that it is in. A goroutine in a select statement has a Wait for each case.
type Wait struct {
	Goroutine uint64 // its ID
	Object    uint64 // address of the channel, of a semaphore, of a condition variable's list, or of a runtime.pollDesc; 0 for a system call
	Flags     uint32 // bits below
	Elem      string // type of a channel's elements; what the descriptor is, such as "TCP to 10.0.0.9:5432"; or the system call and what it is about, such as "read: pipe"
	Len, Cap  uint64 // of the channel; or Len is the descriptor
	Fires     int64  // when the timer of the channel fires, by the clock of Capture.Clock; 0 if that is not known
}

// Flags of a Wait.
const (
	WaitChannel    uint32 = 1 << iota // the object is a channel
	WaitSend                          // it waits to send
	WaitSelect                        // in a select statement
	WaitClosed                        // the channel is closed
	WaitRedacted                      // an exclusion covers the channel: its state is not in the core
	WaitDescriptor                    // the object is a descriptor
	WaitSystemCall                    // it is in a system call, with WaitDescriptor for a descriptor
)

const waitSize = 48

// EncodeWaits returns the descriptor: a head as that of EncodeRegions, records of
// 48 bytes
//
//	0   goroutine  u64
//	8   object     u64
//	16  len        u64
//	24  cap        u64
//	32  flags      u32
//	36  elem       u32, as a region's strings
//	40  fires      i64
//
// and the strings.
func EncodeWaits(ws []Wait) []byte {
	return encodeTable(ws, waitSize, func(b []byte, w *Wait, text func(string) uint32) []byte {
		for _, v := range [...]uint64{w.Goroutine, w.Object, w.Len, w.Cap} {
			b = le.AppendUint64(b, v)
		}
		b = le.AppendUint32(b, w.Flags)
		b = le.AppendUint32(b, text(w.Elem))
		return le.AppendUint64(b, uint64(w.Fires))
	})
}

// DecodeWaits reads the result of EncodeWaits.
func DecodeWaits(desc []byte) ([]Wait, error) {
	return decodeTable(TypeWaits, "wait", desc, waitSize, func(w *Wait, b []byte, text func(uint32) string) {
		w.Goroutine, w.Object, w.Len, w.Cap = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
		w.Flags, w.Elem, w.Fires = le.Uint32(b[32:]), text(le.Uint32(b[36:])), int64(le.Uint64(b[40:]))
	})
}
