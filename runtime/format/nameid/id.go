// Package nameid computes the IDs of annotated names. It is separate from
// package anchor so that a program that embeds the runtime does not link a hash
// function.
package nameid

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Of returns the ID of name in namespace: the first eight bytes, big-endian, of
// SHA-256(namespace, 0, name), with the top bit set. The ID depends only on the
// two strings, so no registry of IDs is needed.
func Of(namespace, name string) uint64 {
	sum := sha256.Sum256([]byte(namespace + "\x00" + name))
	return binary.BigEndian.Uint64(sum[:8]) | anchor.NamedBit
}
