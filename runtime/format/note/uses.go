package note

// TypeUses is the type of the note that lists which functions use the package variables
// for which goroutines wait, and which of the deferred ones unlock.
const TypeUses uint32 = typeBase + 16 // []Use

// A Use is a function whose code has the address of an object in a package variable, or
// one that unlocks a lock or counts down a wait group, its argument. If the list is
// not complete, it has a zero Use.
type Use struct {
	Function uint64 // its first address
	Object   uint64 // 0 = its argument, or UseReadUnlocks
}

// UseReadUnlocks is the Object of a function that unlocks its argument, an RWMutex, for
// reading. Such a function has a Use with the Object 0 too.
const UseReadUnlocks = 1

const useSize = 16

// EncodeUses returns the descriptor: a head as that of EncodeRegions, records of 16 bytes
//
//	0   function  u64
//	8   object    u64
//
// and no strings.
func EncodeUses(us []Use) []byte {
	return encodeTable(us, useSize, func(b []byte, u *Use, _ func(string) uint32) []byte {
		return le.AppendUint64(le.AppendUint64(b, u.Function), u.Object)
	})
}

// DecodeUses reads the result of EncodeUses.
func DecodeUses(desc []byte) ([]Use, error) {
	return decodeTable(TypeUses, "use", desc, useSize, func(u *Use, b []byte, _ func(uint32) string) {
		u.Function, u.Object = le.Uint64(b), le.Uint64(b[8:])
	})
}
