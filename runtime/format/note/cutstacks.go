package note

// TypeCutStacks is the type of the note that lists the stacks of which the core
// has both ends.
const TypeCutStacks uint32 = typeBase + 15 // []CutStack

// A CutStack is the stack of a goroutine whose middle is not in the core. A reader
// that follows the calls from the innermost one does not reach the outer part,
// and a return address alone does not prove that its call is still under way. The
// capture, which read the whole stack, recorded the first call in the outer part.
type CutStack struct {
	Goroutine uint64 // its ID
	SP, PC    uint64 // of the call
	Calls     uint64 // that are further in, including those that were inlined
}

const cutStackSize = 32

// EncodeCutStacks returns the descriptor: a head as that of EncodeRegions, records
// of 32 bytes
//
//	0   goroutine  u64
//	8   sp         u64
//	16  pc         u64
//	24  calls      u64
//
// and no strings.
func EncodeCutStacks(cs []CutStack) []byte {
	return encodeTable(cs, cutStackSize, func(b []byte, c *CutStack, _ func(string) uint32) []byte {
		for _, v := range [...]uint64{c.Goroutine, c.SP, c.PC, c.Calls} {
			b = le.AppendUint64(b, v)
		}
		return b
	})
}

// DecodeCutStacks reads the result of EncodeCutStacks.
func DecodeCutStacks(desc []byte) ([]CutStack, error) {
	return decodeTable(TypeCutStacks, "cut stack", desc, cutStackSize, func(c *CutStack, b []byte, _ func(uint32) string) {
		c.Goroutine, c.SP, c.PC, c.Calls = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
	})
}
