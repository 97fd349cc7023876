// Package kinfo defines the layout of Android's Debug Kinfo block
// ("google,debug-kinfo"), which locates a dead kernel's symbols in its memory.
// It is packed: fields follow each other without padding. All integers are
// little-endian.
//
//	0    magic                         u32  0xcceeddff
//	4    combined checksum             u32  XOR of the words of what follows
//	8    enabled_all                   u8
//	9    enabled_base_relative         u8
//	10   enabled_absolute_percpu       u8
//	11   enabled_cfi_clang             u8
//	12   num_syms                      u32
//	16   name_len, bit_per_long, module_name_len, symbol_len   u16 each
//	24   _relative, _text, _stext, _etext, _sinittext, _einittext, _end,
//	     _offsets, _names, _token_table, _token_index, _markers,
//	     _seqs_of_names                u64 each
//	128  thread_size                   u32
//	132  swapper_pg_dir                u64
//	140  last_uts_release              64 bytes of text
//	204  build_info                    256 bytes of text
//	460  enabled_modules_tree_lookup, mod_mem_offset, mod_kallsyms_offset   u32 each
//
// Source: Android common kernel, drivers/android/debug_kinfo.h.
package kinfo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Magic begins a block. Size is its length.
const (
	Magic = uint32(0xcceeddff)
	Size  = 472

	infoAt     = 8
	addressAt  = 24
	releaseAt  = 140
	releaseLen = 64
	buildAt    = 204
	buildLen   = 256
)

// Addresses, in the order of the block.
const (
	Relative = iota
	Text
	SText
	EText
	SInitText
	EInitText
	End
	Offsets
	Names
	TokenTable
	TokenIndex
	Markers
	SeqsOfNames

	Addresses
)

// AddressNames are the fields' names.
var AddressNames = [Addresses]string{
	"_relative", "_text", "_stext", "_etext", "_sinittext", "_einittext", "_end",
	"_offsets", "_names", "_token_table", "_token_index", "_markers", "_seqs_of_names",
}

// Info is the content of a block.
type Info struct {
	EnabledAll, BaseRelative, AbsolutePerCPU, CFIClang bool
	NumSyms                                            uint32
	NameLen, BitPerLong, ModuleNameLen, SymbolLen      uint16
	Address                                            [Addresses]uint64
	ThreadSize                                         uint32
	SwapperPgDir                                       uint64
	Release                                            string // truncated to 63 bytes
	BuildInfo                                          string // truncated to 255 bytes
	ModulesTreeLookup, ModMemOffset, ModKallsymsOffset uint32
}

// ErrMagic and ErrChecksum report why bytes are not a block.
var (
	ErrMagic    = errors.New("not a debug kinfo block: wrong magic")
	ErrChecksum = errors.New("debug kinfo block has a wrong checksum")
)

var le = binary.LittleEndian

// Encode returns the block.
func (i *Info) Encode() []byte {
	b := make([]byte, Size)
	le.PutUint32(b, Magic)
	for k, on := range [...]bool{i.EnabledAll, i.BaseRelative, i.AbsolutePerCPU, i.CFIClang} {
		if on {
			b[infoAt+k] = 1
		}
	}
	le.PutUint32(b[12:], i.NumSyms)
	for k, v := range [...]uint16{i.NameLen, i.BitPerLong, i.ModuleNameLen, i.SymbolLen} {
		le.PutUint16(b[16+2*k:], v)
	}
	for k, v := range i.Address {
		le.PutUint64(b[addressAt+8*k:], v)
	}
	le.PutUint32(b[128:], i.ThreadSize)
	le.PutUint64(b[132:], i.SwapperPgDir)
	copy(b[releaseAt:releaseAt+releaseLen-1], i.Release)
	copy(b[buildAt:buildAt+buildLen-1], i.BuildInfo)
	le.PutUint32(b[460:], i.ModulesTreeLookup)
	le.PutUint32(b[464:], i.ModMemOffset)
	le.PutUint32(b[468:], i.ModKallsymsOffset)
	le.PutUint32(b[4:], checksum(b))
	return b
}

// Decode reads a block and ignores what follows it in b.
func Decode(b []byte) (*Info, error) {
	if len(b) < Size {
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrMagic, len(b), Size)
	}
	if m := le.Uint32(b); m != Magic {
		return nil, fmt.Errorf("%w %#x", ErrMagic, m)
	}
	if got, want := le.Uint32(b[4:]), checksum(b); got != want {
		return nil, fmt.Errorf("%w: %#x, its words make %#x", ErrChecksum, got, want)
	}
	i := &Info{
		EnabledAll: b[8] != 0, BaseRelative: b[9] != 0, AbsolutePerCPU: b[10] != 0, CFIClang: b[11] != 0,
		NumSyms: le.Uint32(b[12:]),
		NameLen: le.Uint16(b[16:]), BitPerLong: le.Uint16(b[18:]), ModuleNameLen: le.Uint16(b[20:]), SymbolLen: le.Uint16(b[22:]),
		ThreadSize: le.Uint32(b[128:]), SwapperPgDir: le.Uint64(b[132:]),
		Release: text(b[releaseAt : releaseAt+releaseLen]), BuildInfo: text(b[buildAt : buildAt+buildLen]),
		ModulesTreeLookup: le.Uint32(b[460:]), ModMemOffset: le.Uint32(b[464:]), ModKallsymsOffset: le.Uint32(b[468:]),
	}
	for k := range i.Address {
		i.Address[k] = le.Uint64(b[addressAt+8*k:])
	}
	return i, nil
}

// checksum returns the XOR of the words after the checksum itself; whole words
// only.
func checksum(b []byte) uint32 {
	var sum uint32
	for at := infoAt; at+4 <= Size; at += 4 {
		sum ^= le.Uint32(b[at:])
	}
	return sum
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
