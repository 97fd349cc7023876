// Package note defines the layouts of this project's own notes in cores. Their
// owner is "MEMINSPECT", and debuggers ignore them. All integers are
// little-endian; offsets count from the start of the descriptor.
//
// Every descriptor begins
//
//	0  version  u32
//	4  count    u32   of records, pairs or flags, see each type
//
// A layout never changes within a version. These additions need no new version:
// new keys of a capture record, longer region and receipt records (the note
// contains their size), new bits of flags and statuses, new types of notes. For
// an unknown version the decoders return a *VersionError.
package note

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Owner is the owner of all notes in this package.
const Owner = "MEMINSPECT"

// Types of notes. They differ from those of other owners: Delve checks only the
// type, and takes a note of type 1 for PRSTATUS whatever its owner.
const (
	TypeCapture  uint32 = typeBase + 1 // Capture
	TypeRegions  uint32 = typeBase + 2 // []Region
	TypeReceipts uint32 = typeBase + 3 // []Receipt
	TypeCrash    uint32 = typeBase + 4 // CrashText
	TypeExtra    uint32 = typeBase + 5 // Extra: free-form, any number of notes

	typeBase = 0x4d490000 // "MI"
)

// Version is the version of all layouts in this package.
const Version uint32 = 1

// A VersionError reports a note with a layout version that this package does
// not know.
type VersionError struct {
	Type, Version uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("MEMINSPECT note of type %d has version %d, this program reads version %d: use a newer meminspect", e.Type, e.Version, Version)
}

// ErrMalformed reports that a note's bytes are inconsistent.
var ErrMalformed = errors.New("malformed MEMINSPECT note")

var le = binary.LittleEndian

// head checks a descriptor's first 8 bytes and returns its count.
func head(kind uint32, desc []byte) (uint32, error) {
	if len(desc) < 8 {
		return 0, fmt.Errorf("%w: type %d in %d bytes", ErrMalformed, kind, len(desc))
	}
	if v := le.Uint32(desc); v != Version {
		return 0, &VersionError{Type: kind, Version: v}
	}
	return le.Uint32(desc[4:]), nil
}

// CrashText is the text that the program printed when it died.
type CrashText struct {
	Text      string
	Truncated bool // the text was longer
}

// Encode returns the descriptor: version, then bit 0 of the second word for
// Truncated, then the text to the end.
func (c *CrashText) Encode() []byte {
	var flags uint32
	if c.Truncated {
		flags = 1
	}
	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, flags)
	return append(b, c.Text...)
}

// DecodeCrashText reads the result of Encode.
func DecodeCrashText(desc []byte) (*CrashText, error) {
	flags, err := head(TypeCrash, desc)
	if err != nil {
		return nil, err
	}
	return &CrashText{Text: string(desc[8:]), Truncated: flags&1 != 0}, nil
}

// An Extra is a note without a fixed meaning: a name that identifies its owner
// ("example.com/tool/thing") and bytes.
type Extra struct {
	Name string
	Data []byte
}

// Names of the Extra notes that captures write.
const (
	ExtraBuildInfo  = "buildinfo"  // as debug.BuildInfo.String returns it
	ExtraVMCoreInfo = "vmcoreinfo" // in the format of package vmcoreinfo
	ExtraProcess    = "process"    // lines KEY=value, see docs/reference/formats.md
	ExtraSignature  = "signature"  // ID and title, see docs/reference/signature.md
	ExtraFile       = "file:"      // and a path: an attached file, see [AttachedFile]
	ExtraProblems   = "problems"   // a line for each: what a capture could not do, a colon, and why
	ExtraHeap       = "heap"       // what keeps memory alive, as compressed JSON, see docs/reference/formats.md
)

// Encode returns the descriptor: version, length of the name, the name, then
// the data to the end.
func (x *Extra) Encode() []byte {
	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, uint32(len(x.Name)))
	b = append(b, x.Name...)
	return append(b, x.Data...)
}

// DecodeExtra reads the result of Encode. Data aliases desc.
func DecodeExtra(desc []byte) (*Extra, error) {
	n, err := head(TypeExtra, desc)
	if err != nil {
		return nil, err
	}
	if uint64(n) > uint64(len(desc)-8) {
		return nil, fmt.Errorf("%w: a name of %d bytes in %d", ErrMalformed, n, len(desc)-8)
	}
	return &Extra{Name: string(desc[8 : 8+n]), Data: desc[8+n:]}, nil
}
