//go:build race || msan || asan

package coreimage

import "hash/maphash"

// mayReadDirectly is false: a detector may report a reading that nothing synchronizes
// with the program's writes, or that is of memory it does not know.
const mayReadDirectly = false

// keys make a checksum, as those without a detector, which would slow down their loops.
type keys struct{ seed maphash.Seed }

func newKeys() keys { return keys{maphash.MakeSeed()} }

func (k *keys) sum(b []byte) uint64 { return maphash.Bytes(k.seed, b) }

func (k *keys) copy(dst, src []byte) uint64 { return k.sum(dst[:copy(dst, src)]) }
