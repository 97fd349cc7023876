// Package minidump defines the layout of the table of contents of Qualcomm's
// Minidump, as the kernel driver and the boot firmware share it (SMEM item
// 602). All integers are little-endian.
//
//	global table, 336 bytes
//	0   status     u32
//	4   revision   u32
//	8   enabled    u32
//	12  padding
//	16  subsystems 10 times 32 bytes:
//	    0   status               u32
//	    4   enabled              u32  "ENBL", the first letter in the highest byte
//	    8   encryption status    u32  "DONE"
//	    12  encryption required  u32  0, 0, "NR"
//	    16  region count         u32
//	    20  padding
//	    24  regions              u64  address of the first region
//
//	region, 40 bytes
//	0   name      16 bytes, ended by a NUL
//	16  sequence  u32
//	20  valid     u32  "VALI"
//	24  address   u64
//	32  size      u64  a multiple of 4
//
// Subsystem 0 is the application processor. Source: Linux
// drivers/remoteproc/qcom_common.c and drivers/soc/qcom/qcom_minidump.c.
package minidump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Sizes and counts.
const (
	GlobalSize    = 336
	SubsystemSize = 32
	RegionSize    = 40
	Subsystems    = 10
	NameSize      = 16

	// MaxRegions is the number of regions that old firmware reads from one
	// subsystem.
	MaxRegions = 201
)

// Offsets in the global table, in a subsystem and in a region.
const (
	GlobalStatus     = 0
	GlobalRevision   = 4
	GlobalEnabled    = 8
	GlobalSubsystems = 16

	SubsystemStatus      = 0
	SubsystemEnabled     = 4
	SubsystemEncrypted   = 8
	SubsystemEncryption  = 12
	SubsystemRegionCount = 16
	SubsystemRegions     = 24

	RegionName     = 0
	RegionSequence = 16
	RegionValid    = 20
	RegionAddress  = 24
	RegionBytes    = 32
)

// Magic words and flags.
const (
	Valid                 uint32 = 'V'<<24 | 'A'<<16 | 'L'<<8 | 'I'
	Enabled               uint32 = 'E'<<24 | 'N'<<16 | 'B'<<8 | 'L'
	EncryptionDone        uint32 = 'D'<<24 | 'O'<<16 | 'N'<<8 | 'E'
	EncryptionNotRequired uint32 = 'N'<<8 | 'R'
	Revision              uint32 = 1
)

var le = binary.LittleEndian

// A Region is a region of a subsystem.
type Region struct {
	Name     string
	Sequence uint32
	Valid    bool
	Address  uint64
	Size     uint64
}

// Put writes r into the first 40 bytes of b. It truncates a name longer than 15
// bytes.
func (r *Region) Put(b []byte) {
	_ = b[RegionSize-1]
	var name [NameSize]byte
	copy(name[:NameSize-1], r.Name)
	copy(b, name[:])
	le.PutUint32(b[RegionSequence:], r.Sequence)
	valid := uint32(0)
	if r.Valid {
		valid = Valid
	}
	le.PutUint32(b[RegionValid:], valid)
	le.PutUint64(b[RegionAddress:], r.Address)
	le.PutUint64(b[RegionBytes:], r.Size)
}

// ParseRegion reads a region from the first 40 bytes of b.
func ParseRegion(b []byte) Region {
	_ = b[RegionSize-1]
	name, _, _ := strings.Cut(string(b[:NameSize]), "\x00")
	return Region{
		Name:     name,
		Sequence: le.Uint32(b[RegionSequence:]),
		Valid:    le.Uint32(b[RegionValid:]) == Valid,
		Address:  le.Uint64(b[RegionAddress:]),
		Size:     le.Uint64(b[RegionBytes:]),
	}
}

// EntryName returns a table's name for an entry: "K" and the first 8 characters
// of its name, with characters replaced that a file name may not contain.
func EntryName(name string) string {
	b := []byte("K")
	for i := 0; i < len(name) && i < 8; i++ {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`/\:*?"<>|`, c) >= 0 {
			c = '_'
		}
		b = append(b, c)
	}
	return string(b)
}

// UnnamedEntry returns a table's name for an entry without a name: "K" and its
// sequence number in 8 digits, so that the file names sort in order.
func UnnamedEntry(sequence uint32) string { return fmt.Sprintf("K%08d", sequence%100_000_000) }

// FileName returns the host tools' name of a region's file.
func FileName(r *Region) string { return fmt.Sprintf("md_%s%d.BIN", r.Name, r.Sequence) }

// Is reports whether a file that begins with head is a global table.
func Is(head []byte) bool {
	return len(head) >= GlobalSubsystems && le.Uint32(head[GlobalRevision:]) == Revision && le.Uint32(head[GlobalEnabled:]) == Enabled
}

// ErrNotTable reports that bytes are not a global table.
var ErrNotTable = errors.New("not a minidump table of contents")

// A Subsystem is a subsystem of the global table.
type Subsystem struct {
	Count   uint32
	Address uint64 // of its regions
}

// ParseGlobal reads subsystem 0 of a global table.
func ParseGlobal(b []byte) (Subsystem, error) {
	if len(b) < GlobalSize {
		return Subsystem{}, fmt.Errorf("%w: %d bytes", ErrNotTable, len(b))
	}
	s := b[GlobalSubsystems:]
	if rev, on := le.Uint32(b[GlobalRevision:]), le.Uint32(s[SubsystemEnabled:]); rev != Revision || on != Enabled {
		return Subsystem{}, fmt.Errorf("%w: revision %d, subsystem 0 is %#x", ErrNotTable, rev, on)
	}
	if s, r := le.Uint32(s[SubsystemEncrypted:]), le.Uint32(s[SubsystemEncryption:]); s != EncryptionDone || r != EncryptionNotRequired {
		return Subsystem{}, fmt.Errorf("%w: regions are encrypted (%#x, %#x)", ErrNotTable, s, r)
	}
	return Subsystem{Count: le.Uint32(s[SubsystemRegionCount:]), Address: le.Uint64(s[SubsystemRegions:])}, nil
}

// PutGlobal writes a global table with only subsystem 0 into b.
func PutGlobal(b []byte, s Subsystem) {
	clear(b[:GlobalSize])
	le.PutUint32(b[GlobalEnabled:], Enabled)
	le.PutUint32(b[GlobalRevision:], Revision) // Is recognizes the table from now on
	le.PutUint32(b[GlobalStatus:], 1)
	ss := b[GlobalSubsystems:]
	le.PutUint32(ss[SubsystemStatus:], 1)
	le.PutUint32(ss[SubsystemEnabled:], Enabled)
	le.PutUint32(ss[SubsystemEncrypted:], EncryptionDone)
	le.PutUint32(ss[SubsystemEncryption:], EncryptionNotRequired)
	le.PutUint32(ss[SubsystemRegionCount:], s.Count)
	le.PutUint64(ss[SubsystemRegions:], s.Address)
}
