package note

import "fmt"

// Types of the notes in this file.
const (
	TypeFunctions  uint32 = typeBase + 6 // []Function
	TypeGoroutines uint32 = typeBase + 7 // Goroutines
)

// A Function is the program's pc-line information about one address, for
// readers without the executable. For a return address it describes the call
// before it. If calls were inlined, there are several Functions with the same
// PC, consecutively: the innermost call first, the function that contains them
// last.
type Function struct {
	PC    uint64 // as found in a stack or a register
	Entry uint64 // of the function
	Line  uint32
	Frame uint32 // bytes between the stack pointer at PC and the return address
	Name  string
	File  string
}

const functionSize = 32

// EncodeFunctions returns the descriptor: a head as that of EncodeRegions,
// records of 32 bytes
//
//	0   pc     u64
//	8   entry  u64
//	16  line   u32
//	20  frame  u32
//	24  name   u32, as a region's strings
//	28  file   u32
//
// and the strings.
func EncodeFunctions(fs []Function) []byte {
	return encodeTable(fs, functionSize, func(b []byte, f *Function, text func(string) uint32) []byte {
		b = le.AppendUint64(b, f.PC)
		b = le.AppendUint64(b, f.Entry)
		for _, v := range [...]uint32{f.Line, f.Frame, text(f.Name), text(f.File)} {
			b = le.AppendUint32(b, v)
		}
		return b
	})
}

// DecodeFunctions reads the result of EncodeFunctions.
func DecodeFunctions(desc []byte) ([]Function, error) {
	return decodeTable(TypeFunctions, "function", desc, functionSize, func(f *Function, b []byte, text func(uint32) string) {
		f.PC, f.Entry = le.Uint64(b), le.Uint64(b[8:])
		f.Line, f.Frame = le.Uint32(b[16:]), le.Uint32(b[20:])
		f.Name, f.File = text(le.Uint32(b[24:])), text(le.Uint32(b[28:]))
	})
}

// A StackKind describes which parts of goroutine stacks a core contains.
type StackKind uint32

// Kinds of stacks.
const (
	StackNone     StackKind = 0
	StackFull     StackKind = 1
	StackSkeleton StackKind = 2 // return addresses and saved frame pointers; all other words marked
)

func (k StackKind) String() string {
	switch k {
	case StackNone:
		return "none"
	case StackFull:
		return "full"
	case StackSkeleton:
		return "skeleton"
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Goroutines describes the location of the program's goroutines and which of
// them the core contains.
type Goroutines struct {
	Stacks   StackKind
	All      uint64 // goroutines in the list, including dead ones
	Captured uint64 // goroutines whose runtime.g and stack are in the core
	List     uint64 // address of the array of pointers to runtime.g
	Length   uint64 // of it
	PtrCell  uint64 // address of runtime.allgptr, 0 = unknown
	LenCell  uint64 // address of runtime.allglen, 0 = unknown
	Failed   uint64 // ID of the failed goroutine; 0 = none, or see KeyGoroutine in the capture record
	Threads  []GoThread
}

// A GoThread describes what a thread runs.
type GoThread struct {
	TID uint32
	G   uint64 // address of the runtime.g in its thread-local storage, 0 = none
	Cur uint64 // address of the goroutine that it runs, 0 = none
}

const (
	goroutinesHead = 16 + 7*8
	goThreadSize   = 24
)

// Encode returns the descriptor:
//
//	0   version                                  u32
//	4   number of threads                        u32
//	8   kind of stacks                           u32
//	12  zero                                     u32
//	16  all, captured, list, length, allgptr, allglen, failed   u64 each
//	72  threads: id, zero (u32 each), g, current (u64 each)
func (g *Goroutines) Encode() []byte {
	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, uint32(len(g.Threads)))
	b = le.AppendUint32(b, uint32(g.Stacks))
	b = le.AppendUint32(b, 0)
	for _, v := range [...]uint64{g.All, g.Captured, g.List, g.Length, g.PtrCell, g.LenCell, g.Failed} {
		b = le.AppendUint64(b, v)
	}
	for _, t := range g.Threads {
		b = le.AppendUint32(b, t.TID)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, t.G)
		b = le.AppendUint64(b, t.Cur)
	}
	return b
}

// DecodeGoroutines reads the result of Encode.
func DecodeGoroutines(desc []byte) (*Goroutines, error) {
	count, err := head(TypeGoroutines, desc)
	if err != nil {
		return nil, err
	}
	const threads = goroutinesHead
	if len(desc) < threads || uint64(count) > uint64(len(desc)-threads)/goThreadSize {
		return nil, fmt.Errorf("%w: %d threads in %d bytes", ErrMalformed, count, len(desc))
	}
	g := &Goroutines{Stacks: StackKind(le.Uint32(desc[8:]))}
	for i, p := range [...]*uint64{&g.All, &g.Captured, &g.List, &g.Length, &g.PtrCell, &g.LenCell, &g.Failed} {
		*p = le.Uint64(desc[16+8*i:])
	}
	for i := range count {
		b := desc[threads+goThreadSize*int(i):]
		g.Threads = append(g.Threads, GoThread{TID: le.Uint32(b), G: le.Uint64(b[8:]), Cur: le.Uint64(b[16:])})
	}
	return g, nil
}
