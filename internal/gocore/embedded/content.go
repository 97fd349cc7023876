// Package embedded is the section .meminspect, which meminspect link --embed
// adds to an executable and which survives strip: what the linker step knew of
// the program when its symbols and debug information were still there. It is
// not loaded into memory; readers take it from the file.
//
// The section is a header of 56 bytes and a text, little-endian:
//
//	 0  8 bytes  "MEMINSEC"
//	 8  uint32   version, 1
//	12  uint32   flags, 0
//	16  uint64   length of the text
//	24  32 bytes SHA-256 of the text
//	56           the text: JSON, a Content
//
// Addresses are those in the file: a position-independent program is moved
// from there.
package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// SectionName is the section's name.
const SectionName = ".meminspect"

// Version is that of the layout in this file.
const Version = 1

const (
	magic      = "MEMINSEC"
	headerSize = 56
	maxContent = 256 << 20 // bytes that a reader takes
)

// A Content is what the section holds.
type Content struct {
	Build      Build       `json:"build"`
	Go         string      `json:"go"`
	Arch       string      `json:"arch"`
	Main       string      `json:"main,omitempty"` // import path of package main
	Entries    []Entry     `json:"entries"`
	Exclusions []Exclusion `json:"exclusions"`
	Types      []Type      `json:"types"`
	Runtime    Runtime     `json:"runtime"`
	Notes      []string    `json:"notes,omitempty"` // unavailable facts, with reasons
}

// A Build is the build that a section belongs to.
type Build struct {
	GoID  string `json:"goID,omitempty"`
	GNUID string `json:"gnuID,omitempty"`
	// Hash is the SHA-256 of the text and the pc-line table, in hexadecimal
	// digits, of a program that has no build ID.
	Hash string `json:"hash,omitempty"`
}

// An ID is an entry's; in the text it has 16 hexadecimal digits.
type ID uint64

// MarshalText is encoding.TextMarshaler's.
func (id ID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(id)), nil }

// UnmarshalText is encoding.TextUnmarshaler's.
func (id *ID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	*id = ID(v)
	return err
}

// An Entry is a variable to capture.
type Entry struct {
	ID       ID             `json:"id"`
	Package  string         `json:"package"`
	Name     string         `json:"name"`
	Expr     string         `json:"expr"`
	Addr     memory.Address `json:"addr"`
	Size     uint64         `json:"size"` // bytes of the variable itself
	Type     int            `json:"type"` // index in Types, -1 when it is not known
	Depth    *int32         `json:"depth,omitempty"`
	Budget   uint64         `json:"budget,omitempty"`
	Flags    uint32         `json:"flags,omitempty"` // package anchor's
	Pos      string         `json:"pos,omitempty"`
	Note     string         `json:"note,omitempty"`
	Included string         `json:"included,omitempty"` // line of the list that named it
}

// An Exclusion is memory that no capture may hold.
type Exclusion struct {
	Kind      uint32         `json:"kind"` // package anchor's
	Addr      memory.Address `json:"addr,omitempty"`
	Type      int            `json:"type"` // index in Types, -1 when there is none
	Offset    uint64         `json:"offset,omitempty"`
	Size      uint64         `json:"size,omitempty"`
	Package   string         `json:"package"`
	TypeName  string         `json:"typeName,omitempty"`
	FieldName string         `json:"fieldName,omitempty"`
	Pos       string         `json:"pos,omitempty"`
}

// A Type is a type that can be reached from an entry, and its layout. Other
// types are named by their index.
type Type struct {
	Addr     memory.Address `json:"addr"` // of the descriptor; 0 where the program has none
	Name     string         `json:"name"` // as reflect writes it
	Package  string         `json:"package,omitempty"`
	Kind     string         `json:"kind"`
	Size     uint64         `json:"size"`
	PtrBytes uint64         `json:"ptrBytes,omitempty"`
	Align    uint64         `json:"align"`
	Elem     *int           `json:"elem,omitempty"`
	Key      *int           `json:"key,omitempty"`
	Len      uint64         `json:"len,omitempty"`
	Fields   []Field        `json:"fields,omitempty"`
	Methods  int            `json:"methods,omitempty"` // of an interface
	Map      *Map           `json:"map,omitempty"`
}

// A Field is one field of a struct.
type Field struct {
	Name   string `json:"name"`
	Offset uint64 `json:"offset"`
	Type   int    `json:"type"`
}

// A Map is the layout of a map's groups or buckets: gotypes.MapLayout.
type Map struct {
	Swiss        bool   `json:"swiss"`
	GroupSize    uint64 `json:"groupSize"`
	CtrlOff      uint64 `json:"ctrl"`
	KeysOff      uint64 `json:"keys"`
	KeyStride    uint64 `json:"keyStride"`
	ElemsOff     uint64 `json:"elems"`
	ElemStride   uint64 `json:"elemStride"`
	Overflow     uint64 `json:"overflow,omitempty"`
	IndirectKey  bool   `json:"indirectKey,omitempty"`
	IndirectElem bool   `json:"indirectElem,omitempty"`
}

// A Runtime holds facts of the Go runtime in this very program.
type Runtime struct {
	// Symbols are the runtime's own variables, by name.
	Symbols map[string]Symbol `json:"symbols"`
	// Structs are its types that readers look into, from the debug
	// information: empty when the program was embedded without any.
	Structs map[string]Struct `json:"structs"`
}

// A Symbol is a variable.
type Symbol struct {
	Addr memory.Address `json:"addr"`
	Size uint64         `json:"size"`
}

// A Struct is a struct of the runtime, with the offset and size of each field.
type Struct struct {
	Size   uint64               `json:"size"`
	Fields map[string][2]uint64 `json:"fields"`
}

// Encode writes a section.
func Encode(c *Content) ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", SectionName, err)
	}
	return Seal(text), nil
}

// Seal puts a section's header before its text.
func Seal(text []byte) []byte {
	sum := sha256.Sum256(text)
	b := append(make([]byte, 0, headerSize+len(text)), magic...)
	b = binary.LittleEndian.AppendUint32(b, Version)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(text)))
	b = append(b, sum[:]...)
	return append(b, text...)
}

var (
	// ErrNone is returned for a program that has no section.
	ErrNone = errors.New("the program has no section " + SectionName)
	// ErrDamaged is wrapped by errors about a section that is not as it was
	// written.
	ErrDamaged = errors.New("section " + SectionName + " is damaged")
	// ErrStale is wrapped by errors about a section of another build.
	ErrStale = errors.New("section " + SectionName + " is stale")
)

// Text returns the text of a section's bytes.
func Text(b []byte) ([]byte, error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		return nil, fmt.Errorf("section %s: version %d, and this tool knows version %d: update meminspect", SectionName, v, Version)
	}
	text := b[headerSize:]
	if size := binary.LittleEndian.Uint64(b[16:]); size != uint64(len(text)) {
		return nil, fmt.Errorf("%w: it has %d bytes but declares %d", ErrDamaged, len(text), size)
	}
	if sha256.Sum256(text) != [32]byte(b[24:headerSize]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	return text, nil
}

// Decode reads a section's bytes.
func Decode(b []byte) (*Content, error) {
	text, err := Text(b)
	if err != nil {
		return nil, err
	}
	c := new(Content)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return c, c.check()
}

// check holds indices against what they index.
func (c *Content) check() error {
	index := func(i int) error {
		if i < -1 || i >= len(c.Types) {
			return fmt.Errorf("%w: type %d of %d", ErrDamaged, i, len(c.Types))
		}
		return nil
	}
	var errs []error
	for _, e := range c.Entries {
		errs = append(errs, index(e.Type))
	}
	for _, x := range c.Exclusions {
		errs = append(errs, index(x.Type))
	}
	for _, t := range c.Types {
		for _, ref := range []*int{t.Elem, t.Key} {
			if ref != nil {
				errs = append(errs, index(*ref))
			}
		}
		for _, f := range t.Fields {
			errs = append(errs, index(f.Type))
		}
	}
	return errors.Join(errs...)
}

// Raw returns the bytes of f's section, or ErrNone.
func Raw(f *exe.File) ([]byte, error) {
	s, ok := f.Section(SectionName)
	if !ok {
		return nil, ErrNone
	}
	return f.Data(s, maxContent)
}

// Read returns the content of f's section if it belongs to this build. The
// addresses in another build's section would be wrong.
func Read(f *exe.File) (*Content, error) {
	b, err := Raw(f)
	if err != nil {
		return nil, err
	}
	c, err := Decode(b)
	if err != nil {
		return nil, err
	}
	return c, c.Build.Check(f)
}
