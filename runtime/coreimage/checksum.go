//go:build !race && !msan && !asan

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
// records that change places are noticed.
type keys [8]uint64

// newKeys returns new keys.
func newKeys() (k keys) {
	for i := range k {
		k[i] = maphash.Bytes(maphash.MakeSeed(), nil)
	}
	return k
}

const (
	stripe = 8 * 8              // bytes that are mixed with all keys
	step   = 0x9e3779b97f4a7c15 // the golden ratio: its multiples modulo 2^64 do not repeat
)

// sum returns the checksum of b.
func (k *keys) sum(b []byte) uint64 {
	le := binary.LittleEndian
	var s0, s1, s2, s3, place uint64
	for ; len(b) >= stripe; b = b[stripe:] {
		p := (*[stripe]byte)(b)
		s0 += product(le.Uint64(p[0:])^(k[0]+place), le.Uint64(p[8:])^k[1])
		s1 += product(le.Uint64(p[16:])^(k[2]+place), le.Uint64(p[24:])^k[3])
		s2 += product(le.Uint64(p[32:])^(k[4]+place), le.Uint64(p[40:])^k[5])
		s3 += product(le.Uint64(p[48:])^(k[6]+place), le.Uint64(p[56:])^k[7])
		place += step
	}
	return s0 + s1 + s2 + s3 + k.last(b, place)
}

// copy copies src to dst, which has its length, and returns the checksum of the copy. It
// reads each byte of src once: another goroutine may be changing it.
func (k *keys) copy(dst, src []byte) uint64 {
	le := binary.LittleEndian
	var s0, s1, s2, s3, place uint64
	for ; len(src) >= stripe && len(dst) >= stripe; src, dst = src[stripe:], dst[stripe:] {
		p, q := (*[stripe]byte)(src), (*[stripe]byte)(dst)
		w0, w1, w2, w3 := le.Uint64(p[0:]), le.Uint64(p[8:]), le.Uint64(p[16:]), le.Uint64(p[24:])
		w4, w5, w6, w7 := le.Uint64(p[32:]), le.Uint64(p[40:]), le.Uint64(p[48:]), le.Uint64(p[56:])
		le.PutUint64(q[0:], w0)
		le.PutUint64(q[8:], w1)
		le.PutUint64(q[16:], w2)
		le.PutUint64(q[24:], w3)
		le.PutUint64(q[32:], w4)
		le.PutUint64(q[40:], w5)
		le.PutUint64(q[48:], w6)
		le.PutUint64(q[56:], w7)
		s0 += product(w0^(k[0]+place), w1^k[1])
		s1 += product(w2^(k[2]+place), w3^k[3])
		s2 += product(w4^(k[4]+place), w5^k[5])
		s3 += product(w6^(k[6]+place), w7^k[7])
		place += step
	}
	return s0 + s1 + s2 + s3 + k.last(dst[:copy(dst, src)], place)
}

// last returns what the bytes after the last whole stripe add to a checksum.
func (k *keys) last(b []byte, place uint64) (sum uint64) {
	le := binary.LittleEndian
	var p [stripe]byte
	for i, n := 0, copy(p[:], b); i < n; i += 16 {
		sum += product(le.Uint64(p[i:])^(k[i/8]+place), le.Uint64(p[i+8:])^k[i/8+1])
	}
	return sum
}

// product returns the folded product of two words.
func product(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
