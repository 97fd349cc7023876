// Package anchor describes the plain memory in which a program publishes its
// tables, its dynamic regions, its heartbeats and its log rings. All of them
// are reachable from one static anchor that a reader finds by a magic value.
//
// The package knows bytes, no policy. The writer is package meminspect, whose
// structs have exactly these offsets (a test there compares each one). Readers
// are the linker step, which finds tables in an executable file, and a capture,
// which finds the anchor in a process without its help.
//
// All layouts are those of a 64-bit little-endian program. A string is a
// pointer and a length (16 bytes), a slice a pointer, a length and a capacity
// (24 bytes), an any a pointer to a runtime type and a data pointer (16 bytes).
// A layout never changes within a version: a reader must report an unknown
// version and stop.
package anchor

// The two words at the head of the static anchor ("MIANCHOR", then a random
// word) and at the head of every table ("MEMITABL", then a random word). The
// anchor's and the tables' memory is 8-byte aligned, in a writable segment.
const (
	AnchorMagic0 uint64 = 0x524f48434e41494d
	AnchorMagic1 uint64 = 0xb5e1f3a94c7d2086

	TableMagic0 uint64 = 0x4c424154494d454d
	TableMagic1 uint64 = 0x9d02c4f17a3be865
)

// Versions of the layouts in this file.
const (
	AnchorVersion uint32 = 1
	TableVersion  uint32 = 2
)

// Offsets in the anchor.
const (
	AnchorMagic      = 0   // [2]uint64
	AnchorVersionOff = 16  // uint32
	AnchorPtrSize    = 20  // uint32, 8
	AnchorSeq        = 24  // uint64, odd while the dynamic regions change
	AnchorTables     = 32  // pointer to the first linked table
	AnchorChunks     = 40  // pointer to the first chunk of dynamic regions
	AnchorRegions    = 48  // uint64, number of used slots
	AnchorHeartbeats = 56  // pointer to the first heartbeat
	AnchorRings      = 64  // pointer to the first log ring descriptor
	AnchorCrashFD    = 72  // int64, the descriptor of the crash socket, 0 if none
	AnchorSnapshots  = 80  // uint64, number of snapshots requested by the program
	AnchorReason     = 88  // string, the reason of the latest request
	AnchorTags       = 104 // pointer to the block of tags, nil if the program has set none
	AnchorReserved   = 112
	AnchorSize       = 128
)

// Offsets in a table: one package's entries under one build constraint.
const (
	TableMagicOff   = 0   // [2]uint64
	TableVersionOff = 16  // uint32
	TableFlags      = 20  // uint32, see TableLinked
	TableNext       = 24  // pointer to the next linked table
	TablePackage    = 32  // string, import path
	TableNamespace  = 48  // string, namespace of the IDs
	TableEntries    = 64  // slice of entries
	TableExclusions = 88  // slice of exclusions
	TableLayouts    = 112 // slice of layouts
	TableNumbers    = 136 // slice of numbers
	TableDeclared   = 160 // slice of declared IDs
	TableConstants  = 184 // slice of constants; the end of a table of version 1
	TableSize       = 208
)

// TableLinked is set in a table's flags once its package is initialised.
const TableLinked uint32 = 1

// Offsets in an entry.
const (
	EntryID     = 0  // uint64
	EntryName   = 8  // string, the name of the ID
	EntryExpr   = 24 // string, the source expression in its package: queue.head
	EntryVar    = 40 // any, a pointer to the variable
	EntryBytes  = 56 // uint64, number of leading bytes to capture, 0 = the whole variable
	EntryBudget = 64 // uint64, maximum bytes, followed memory included, 0 = not set
	EntryDepth  = 72 // int32, pointers to follow; valid only with EntryHasDepth
	EntryFlags  = 76 // uint32
	EntryPos    = 80 // string, file:line, relative to the package's folder
	EntryNote   = 96 // string
	EntrySize   = 112
)

// Flags of an entry.
const (
	EntryArea     uint32 = 1 << iota // written as //meminspect:area
	EntryMember                      // a member of the variable, not the whole
	EntryHasDepth                    // depth= was written
	EntrySummary                     // short reports may show its value

	// EntryWithdrawn is set at run time: the program has unregistered the entry.
	EntryWithdrawn uint32 = 1 << 30
)

// DefaultDepth is the number of pointers followed from an entry without
// EntryHasDepth if no option changes it. It covers what Delve's print shows by
// default, and a map of pointers to structs that contain strings.
const DefaultDepth = 4

// Offsets in an exclusion.
const (
	ExclusionKind    = 0  // uint32
	ExclusionFlags   = 4  // uint32
	ExclusionVar     = 8  // any: a pointer to the variable, or a nil *T for a type or a field of it
	ExclusionOffset  = 24 // uint64, of the field
	ExclusionBytes   = 32 // uint64, of the field
	ExclusionPackage = 40 // string, the Go runtime's name for the package of Type: "main" or the import path
	ExclusionType    = 56 // string, type name without brackets
	ExclusionField   = 72 // string
	ExclusionPos     = 88 // string
	ExclusionSize    = 104
)

// Kinds of an exclusion. No static table can name the instances of a generic
// type: for generic types Var is nil, and readers match by package, type and
// field name.
const (
	ExcludeVariable     uint32 = 1
	ExcludeType         uint32 = 2
	ExcludeField        uint32 = 3
	ExcludeGenericType  uint32 = 4
	ExcludeGenericField uint32 = 5
)

// Offsets in a layout (SIZE and OFFSET lines of vmcoreinfo) and in its fields.
const (
	LayoutName   = 0  // string, type name without the package
	LayoutBytes  = 16 // uint64, size of the type
	LayoutFields = 24 // slice of fields
	LayoutSize   = 48

	LayoutFieldName   = 0  // string
	LayoutFieldOffset = 16 // uint64
	LayoutFieldBytes  = 24 // uint64
	LayoutFieldSize   = 32
)

// Offsets in a number (a NUMBER line of vmcoreinfo).
const (
	NumberName  = 0  // string
	NumberValue = 16 // int64
	NumberSize  = 24
)

// Offsets in a declared ID: a name for something registered at run time.
const (
	DeclaredID   = 0  // uint64
	DeclaredName = 8  // string
	DeclaredPos  = 24 // string
	DeclaredSize = 40
)

// Offsets in the constants of one declared integer type.
const (
	ConstantsNames  = 0  // slice of strings
	ConstantsValues = 24 // any: a pointer to an array of the type, with a value for each name
	ConstantsSize   = 40
)

// Offsets in a chunk of dynamic regions, and in its slots.
const (
	ChunkNext  = 0 // pointer to the next chunk
	ChunkSlots = 8 // SlotsPerChunk slots
	ChunkSize  = ChunkSlots + SlotsPerChunk*SlotSize

	SlotsPerChunk = 256
)

// Offsets in a slot. A slot's Seq is odd while the slot changes. An external
// reader reads Seq, the slot, then Seq again, and retries if the two differ or
// are odd.
const (
	SlotSeq    = 0  // uint32
	SlotKind   = 4  // uint32
	SlotID     = 8  // uint64
	SlotBase   = 16 // pointer to Go memory, or its weak handle
	SlotAddr   = 24 // uint64, address of foreign memory; otherwise an offset from Base's target
	SlotBytes  = 32 // uint64
	SlotType   = 40 // pointer to the runtime type *T of an element, or nil
	SlotName   = 48 // string
	SlotDepth  = 64 // int32; valid only with EntryHasDepth in SlotFlags
	SlotFlags  = 68 // uint32, as for entries
	SlotBudget = 72 // uint64
	SlotOrder  = 80 // uint64, counts registrations: sorting by it gives registration order
	SlotSpare  = 88
	SlotSize   = 96
)

// SlotMarked is set in the flags of a slot that is a marked range of a block.
const SlotMarked uint32 = 1 << 31

// Kinds of a slot.
const (
	SlotFree     uint32 = 0
	SlotValue    uint32 = 1 // one T at Base
	SlotSlice    uint32 = 2 // Bytes / sizeof(T) values of T from Base on
	SlotString   uint32 = 3 // Bytes bytes of text at Base
	SlotForeign  uint32 = 4 // Bytes bytes at Addr that Go does not manage
	SlotWeak     uint32 = 5 // Base holds a weak handle: it points at a word that points at the T, or is zero when T is gone
	SlotExcluded uint32 = 6 // Bytes bytes from Base+Addr that no capture may contain
)

// Offsets in a heartbeat.
const (
	HeartbeatNext  = 0  // pointer
	HeartbeatName  = 8  // string
	HeartbeatLimit = 24 // int64, maximum nanoseconds between two beats
	HeartbeatCount = 32 // uint64, beats so far
	HeartbeatState = 40 // uint32, 1 = running, 0 = stopped
	HeartbeatSize  = 48
)

// Offsets in the block of tags: its slots. A slot has two places for a value, so
// that one is whole at any moment: bit 0 of the state selects it, and the state
// changes after the value was written. An external reader reads the state, the
// slot, then the state again, and retries if the two differ. A slot keeps its key.
const (
	TagState      = 0 // uint32, 0 = the slot is free
	TagKeyBytes   = 4 // uint32
	TagValueBytes = 8 // [2]uint32; TagUnset for a tag that was removed
	TagKey        = 16
	TagValues     = TagKey + MaxTagKey // two values
	TagSize       = TagValues + 2*MaxTagValue
)

// Bounds of tags that a program sets.
const (
	MaxTags     = 32
	MaxTagKey   = 64  // bytes
	MaxTagValue = 256 // bytes

	TagUnset uint32 = 1<<32 - 1
)

// ValidTagKey reports whether a tag may have this key.
func ValidTagKey(key string) bool {
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-', c == '/':
		default:
			return false
		}
	}
	return key != "" && len(key) <= MaxTagKey
}

// Offsets in a ring descriptor; package logring defines the ring's bytes.
const (
	RingNext    = 0  // pointer
	RingName    = 8  // string
	RingVersion = 24 // uint32
	RingData    = 32 // pointer to the ring's bytes
	RingBytes   = 40 // uint64
	RingSize    = 48
)

// IDs with a clear top bit are reserved for the project: fixed ones below
// FirstDynamic, dynamic ones from there on. IDs with the top bit set are hashes
// of annotated names.
const (
	IDNone       uint64 = 0
	IDELFHeader  uint64 = 1
	IDVMCoreInfo uint64 = 2
	IDBuildInfo  uint64 = 3
	IDProcess    uint64 = 4
	IDLog        uint64 = 5
	IDRuntime    uint64 = 6
	IDBacklog    uint64 = 7

	FirstDynamic uint64 = 1 << 32
	NamedBit     uint64 = 1 << 63
)
