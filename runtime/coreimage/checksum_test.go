package coreimage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every change of a block changes its checksum: of one bit, of the order of records, and
// of records with a CRC of their own.
func TestChecksum(t *testing.T) {
	k := newKeys()
	block := make([]byte, 2<<10+13)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range block {
		block[i] = byte(r.Uint32())
	}
	want := k.sum(block)
	if k.sum(slices.Clone(block)) != want {
		t.Error("the same bytes have another checksum elsewhere")
	}
	for n := range 200 {
		dst := make([]byte, n)
		if sum := k.copy(dst, block[:n]); sum != k.sum(block[:n]) || !bytes.Equal(dst, block[:n]) {
			t.Errorf("a copy of %d bytes has another checksum or differs", n)
		}
	}
	for i := range 8 * len(block) {
		block[i/8] ^= 1 << (i % 8)
		if k.sum(block) == want {
			t.Fatalf("bit %d does not count", i)
		}
		block[i/8] ^= 1 << (i % 8)
	}
	for _, size := range []int{8, 16, 64, 128, 512, 1024} {
		swapped := slices.Concat(block[size:2*size], block[:size], block[2*size:])
		if k.sum(swapped) == want {
			t.Errorf("the order of records of %d bytes does not count", size)
		}
	}
	for _, table := range []*crc32.Table{crc32.IEEETable, crc32.MakeTable(crc32.Castagnoli)} {
		sealed := slices.Clone(block[:1024])
		sum := func() uint64 {
			binary.LittleEndian.PutUint32(sealed[1020:], crc32.Checksum(sealed[:1020], table))
			return k.sum(sealed)
		}
		before := sum()
		sealed[7]++
		if sum() == before {
			t.Error("a record with its CRC has the checksum of another")
		}
	}
}
