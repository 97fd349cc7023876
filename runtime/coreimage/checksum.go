package coreimage

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// keys are the random keys of a checksum that detects whether a block changed. Two blocks
// of the same length that differ have the same checksum only by chance. A CRC does not
// do: all records of a length that end with their own CRC have the same one.
//
// The checksum multiplies pairs of words, each mixed with a key, and adds up the folded products,
// as NH of UMAC (RFC 4418) and wyhash do. The keys differ by place, so that
// records that change places are noticed. It reads at the speed of memory.
type keys [8]uint64

// newKeys returns new keys.
func newKeys() (k keys) {
	for i := range k {
		k[i] = maphash.Bytes(maphash.MakeSeed(), nil)
	}
	return k
}

// sum returns the checksum of b.
func (k *keys) sum(b []byte) uint64 {
	const (
		stripe = 8 * 8
		step   = 0x9e3779b97f4a7c15 // the golden ratio: added up, it repeats after 2^64
	)
	var s0, s1, s2, s3, place uint64
	for ; len(b) >= stripe; b = b[stripe:] {
		p := (*[stripe]byte)(b)
		s0 += product(p[0:], k[0]+place, k[1])
		s1 += product(p[16:], k[2]+place, k[3])
		s2 += product(p[32:], k[4]+place, k[5])
		s3 += product(p[48:], k[6]+place, k[7])
		place += step
	}
	var last [stripe]byte
	for i, n := 0, copy(last[:], b); i < n; i += 16 {
		s0 += product(last[i:], k[i/8]+place, k[i/8+1])
	}
	return s0 + s1 + s2 + s3
}

// product returns the folded product of two words, each mixed with a key.
func product(b []byte, x, y uint64) uint64 {
	le := binary.LittleEndian
	high, low := bits.Mul64(le.Uint64(b)^x, le.Uint64(b[8:])^y)
	return high ^ low
}
