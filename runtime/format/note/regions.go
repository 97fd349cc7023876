package note

import (
	"fmt"
	"strings"
)

// A Status reports how much of a region, and of everything it leads to, is in a
// core: zero if all of it is there and from one moment, else any of the bits.
type Status uint32

// Bits of a Status.
const (
	Torn         Status = 1 << iota // some of it changed while it was read: its values are from different moments
	Budget                          // partial: the budget was spent
	Holes                           // partial: some of it could not be read
	Redacted                        // partial: an exclusion covers some of it
	Gone                            // its object was collected before the capture
	Inconsistent                    // partial: a value contradicts its type, so it was not followed
	Depth                           // partial: it continues beyond the depth
	Unsupported                     // partial: the tool does not know a type or a layout
	Untyped                         // partial: it leads to memory without a type
	Unreadable                      // nothing of it could be read

	Complete Status = 0

	// Expected are the reasons that follow from the program's annotations and the
	// options.
	Expected = Budget | Redacted | Depth | Untyped
)

// reasons are the names of the reason bits, in the order in which they are
// printed.
var reasons = []struct {
	bit  Status
	word string
}{
	{Depth, "depth"}, {Budget, "budget"}, {Redacted, "redacted"}, {Untyped, "untyped"},
	{Holes, "unreadable"}, {Inconsistent, "inconsistent"}, {Unsupported, "not supported"},
}

// knownBits are the bits that this package can name.
const knownBits = Unreadable<<1 - 1

// Word returns the status as one word: "complete", "partial", "torn",
// "unreadable" or "gone".
func (s Status) Word() string {
	switch {
	case s == Complete:
		return "complete"
	case s&Gone != 0:
		return "gone"
	case s&Unreadable != 0:
		return "unreadable"
	case s&Torn != 0:
		return "torn"
	}
	return "partial"
}

// Reasons returns the names of the reasons why something is missing, nil if
// nothing is.
func (s Status) Reasons() []string {
	var words []string
	for _, r := range reasons {
		if s&r.bit != 0 {
			words = append(words, r.word)
		}
	}
	if rest := s &^ knownBits; rest != 0 {
		words = append(words, fmt.Sprintf("status %#x", uint32(rest)))
	}
	return words
}

// String returns the word, and the reasons in parentheses.
func (s Status) String() string {
	if why := s.Reasons(); len(why) > 0 {
		return s.Word() + " (" + strings.Join(why, ", ") + ")"
	}
	return s.Word()
}

// A Region is one entry of the region table.
type Region struct {
	ID       uint64
	Addr     uint64
	Size     uint64 // registered bytes
	Captured uint64 // registered bytes that the core contains
	TypeAddr uint64 // address of an element's runtime type, 0 = unknown
	Budget   uint64 // 0 = not set
	Order    uint64 // counts registrations; static entries have 0
	Kind     uint32 // a slot kind of package anchor; 0 = entry of a static table
	Flags    uint32 // entry flags of package anchor
	Status   Status
	Depth    int32  // valid only with anchor.EntryHasDepth
	Name     string // the name of the ID
	Expr     string // source expression in its package
	Package  string // import path
	Type     string // of an element, as reflect prints it
	Pos      string // file:line
	Note     string
}

// Sizes of records.
const (
	regionSize  = 96
	receiptSize = 40
)

// EncodeRegions returns the descriptor of a region table:
//
//	0   version            u32
//	4   count              u32
//	8   size of a record   u32, 96
//	12  offset of strings  u32
//	16  count records:
//	    0   id        u64
//	    8   address   u64
//	    16  size      u64
//	    24  captured  u64
//	    32  type addr u64
//	    40  budget    u64
//	    48  order     u64
//	    56  kind      u32
//	    60  flags     u32
//	    64  status    u32
//	    68  depth     i32
//	    72  name, expr, package, type, pos, note   u32 each: offset from the
//	        strings' start of a length (u32) and bytes
//
// The length depends only on the number of regions and on their strings, so
// that room can be reserved before statuses are known.
func EncodeRegions(rs []Region) []byte {
	return encodeTable(rs, regionSize, appendRegion)
}

func appendRegion(b []byte, r *Region, text func(string) uint32) []byte {
	for _, v := range [...]uint64{r.ID, r.Addr, r.Size, r.Captured, r.TypeAddr, r.Budget, r.Order} {
		b = le.AppendUint64(b, v)
	}
	for _, v := range [...]uint32{r.Kind, r.Flags, uint32(r.Status), uint32(r.Depth)} {
		b = le.AppendUint32(b, v)
	}
	for _, s := range r.texts() {
		b = le.AppendUint32(b, text(*s))
	}
	return b
}

// A RegionTable is the descriptor of a region table with room for more regions
// and their strings.
type RegionTable struct {
	b       []byte
	strings int // offset of the strings
	end     int // end of the strings so far
}

// RegionTableSize returns the size of a table with room for regions, and for
// text bytes of strings, 4 for the length of each included.
func RegionTableSize(regions, text int) int { return tableHead + regionSize*regions + 4 + text }

// NewRegionTable makes b an empty table. b must have the size that
// RegionTableSize returns.
func NewRegionTable(b []byte, regions int) *RegionTable {
	clear(b)
	t := &RegionTable{b: b, strings: tableHead + regionSize*regions}
	t.end = t.strings + 4 // the empty string
	le.PutUint32(b, Version)
	le.PutUint32(b[8:], regionSize)
	le.PutUint32(b[12:], uint32(t.strings))
	return t
}

// Append adds a region. It reports false, and changes nothing, if there is no
// room for it.
func (t *RegionTable) Append(r *Region) bool {
	n := int(le.Uint32(t.b[4:]))
	at, need := tableHead+regionSize*n, 0
	for _, s := range r.texts() {
		need += 4 + len(*s)
	}
	if at+regionSize > t.strings || t.end+need > len(t.b) {
		return false
	}
	appendRegion(t.b[at:at], r, func(s string) uint32 {
		if s == "" {
			return 0
		}
		off := t.end - t.strings
		le.PutUint32(t.b[t.end:], uint32(len(s)))
		t.end += 4 + copy(t.b[t.end+4:], s)
		return uint32(off)
	})
	le.PutUint32(t.b[4:], uint32(n+1))
	return true
}

// DecodeRegions reads the result of EncodeRegions.
func DecodeRegions(desc []byte) ([]Region, error) {
	return decodeTable(TypeRegions, "region", desc, regionSize, func(r *Region, b []byte, text func(uint32) string) {
		for k, p := range [...]*uint64{&r.ID, &r.Addr, &r.Size, &r.Captured, &r.TypeAddr, &r.Budget, &r.Order} {
			*p = le.Uint64(b[8*k:])
		}
		r.Kind, r.Flags = le.Uint32(b[56:]), le.Uint32(b[60:])
		r.Status, r.Depth = Status(le.Uint32(b[64:])), int32(le.Uint32(b[68:]))
		for k, s := range r.texts() {
			*s = text(le.Uint32(b[72+4*k:]))
		}
	})
}

// A Reason is the reason why bytes are not in a core.
type Reason uint32

// Reasons.
const (
	ReasonExcluded    Reason = 1 // a variable, type or field is excluded
	ReasonUnreadable  Reason = 2 // the kernel could not read it
	ReasonBudget      Reason = 3 // the budget was spent
	ReasonUnknownType Reason = 4 // exclusions exist and the type of the bytes is unknown
	ReasonStack       Reason = 5 // words of a stack that are neither return addresses nor frame pointers
	ReasonSecret      Reason = 6 // a goroutine that handles runtime/secret data
	ReasonChanged     Reason = 7 // a structure was read in the middle of a change and not followed
)

func (r Reason) String() string {
	words := [...]string{1: "excluded", 2: "unreadable", 3: "budget spent", 4: "type not known", 5: "stack contents", 6: "secret goroutine", 7: "changing"}
	if int(r) < len(words) && words[r] != "" {
		return words[r]
	}
	return fmt.Sprintf("reason %d", uint32(r))
}

// A Receipt records omitted memory and the reason.
type Receipt struct {
	Addr   uint64 // of the bytes, 0 for several places
	Size   uint64 // omitted bytes
	ID     uint64 // of the region they belong to, 0 = none
	Reason Reason
	Count  uint32 // number of places that the receipt covers
	Rule   string // the cause: "example.com/shop.User.Password at user.go:12"
}

// EncodeReceipts returns the descriptor of a list of receipts: a head as that
// of EncodeRegions, records of 40 bytes
//
//	0   address  u64
//	8   size     u64
//	16  id       u64
//	24  reason   u32
//	28  count    u32
//	32  rule     u32, as a region's strings
//	36  zero     u32
//
// and the strings.
func EncodeReceipts(rs []Receipt) []byte {
	return encodeTable(rs, receiptSize, func(b []byte, r *Receipt, text func(string) uint32) []byte {
		for _, v := range [...]uint64{r.Addr, r.Size, r.ID} {
			b = le.AppendUint64(b, v)
		}
		for _, v := range [...]uint32{uint32(r.Reason), r.Count, text(r.Rule), 0} {
			b = le.AppendUint32(b, v)
		}
		return b
	})
}

// DecodeReceipts reads the result of EncodeReceipts.
func DecodeReceipts(desc []byte) ([]Receipt, error) {
	return decodeTable(TypeReceipts, "receipt", desc, receiptSize, func(r *Receipt, b []byte, text func(uint32) string) {
		r.Addr, r.Size, r.ID = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
		r.Reason, r.Count, r.Rule = Reason(le.Uint32(b[24:])), le.Uint32(b[28:]), text(le.Uint32(b[32:]))
	})
}
