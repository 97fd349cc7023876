package goobject

import (
	"iter"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// A SyncMap decodes sync.Map. From Go 1.24 on that is a hash trie, before a
// pair of maps: read, and dirty, which when it is not nil has all entries.
type SyncMap struct {
	Trie *Trie
	Root uint64 // with a Trie: the offset of the pointer to its root

	// Without a Trie: a map from any to *entry, an entry being a pointer to any.
	Entries *MapType
	// Dirty is the offset of the map dirty.
	Dirty uint64
	// Read is the offset of the pointer to a struct whose map at ReadMap is read.
	Read, ReadMap uint64
}

// EntryValue is the offset in an entry of its pointer to the value, which is 0
// when the key was deleted.
const EntryValue = 0

// SyncMapOf returns the decoder for t, which is sync.Map.
func SyncMapOf(t *gotypes.Type) (*SyncMap, error) {
	if m, ok := t.Field("m"); ok {
		return trieMap(m)
	}
	return pairOfMaps(t)
}

func trieMap(m gotypes.Field) (*SyncMap, error) {
	root, ok := m.Type.Field("root")
	if !ok || !strings.HasPrefix(m.Type.Name(), "HashTrieMap[interface {},interface {}]") {
		return nil, unknown("a sync.Map of %v", m.Type)
	}
	ptr, inner, ok := typedPointer(root.Type, "v")
	if !ok {
		return nil, unknown("a root of type %v", root.Type)
	}
	trie, err := TrieOf(inner)
	if err != nil {
		return nil, err
	}
	return &SyncMap{Trie: trie, Root: m.Offset + root.Offset + ptr}, nil
}

func pairOfMaps(t *gotypes.Type) (*SyncMap, error) {
	read, okRead := t.Field("read")
	dirty, okDirty := t.Field("dirty")
	if !okRead || !okDirty || dirty.Type.Kind != gotypes.Map {
		return nil, unknown("a sync.Map of neither a trie nor two maps")
	}
	ptr, readOnly, ok := typedPointer(read.Type, "v")
	if !ok {
		return nil, unknown("a read of type %v", read.Type)
	}
	m, ok := readOnly.Field("m")
	if !ok || m.Type != dirty.Type {
		return nil, unknown("a readOnly of type %v", readOnly)
	}
	elem, err := dirty.Type.Elem()
	if err != nil {
		return nil, err
	}
	key, err := dirty.Type.Key()
	if err != nil {
		return nil, err
	}
	if elem.Kind != gotypes.Pointer || !isAny(key) {
		return nil, unknown("entries of type %v", dirty.Type)
	}
	entry, err := elem.Elem()
	if err != nil {
		return nil, err
	}
	if entry.Size != memory.PtrSize {
		return nil, unknown("an entry of %d bytes", entry.Size)
	}
	entries, err := MapOf(dirty.Type)
	if err != nil {
		return nil, err
	}
	return &SyncMap{Entries: entries, Dirty: dirty.Offset, Read: read.Offset + ptr, ReadMap: m.Offset}, nil
}

func isAny(t *gotypes.Type) bool { return t.Kind == gotypes.Interface && t.Methods == 0 }

// IsSyncMapPart reports whether t is a struct between a sync.Map of two maps
// and its values: users see the values as the map's own.
func IsSyncMapPart(t *gotypes.Type) bool {
	return t.PkgPath == "sync" && (t.Name() == "readOnly" || t.Name() == "entry")
}

// A Trie decodes the nodes of the hash trie in a sync.Map, internal/sync.HashTrieMap.
// A node's first byte shows whether it is an entry, or an inner node with
// pointers to others.
type Trie struct {
	InnerSize uint64 // of an inner node
	Children  uint64 // the offset in it of the pointers to nodes
	Count     uint64 // of them
}

// Offsets in a node that is an entry. Its type has no descriptor: it is
// struct { isEntry bool; overflow *entry; key, value any }.
const (
	TrieEntryNext  = 8 // the next entry whose key has the same hash
	TrieEntryKey   = 16
	TrieEntryValue = TrieEntryKey + InterfaceSize
	TrieEntrySize  = TrieEntryValue + InterfaceSize
)

// maxTrieDepth is how many inner nodes are above each other at most: each
// takes four bits of a hash, if they are few, and a hash has 64.
const maxTrieDepth = 16

// TrieOf returns the decoder of tries whose inner nodes have type t.
func TrieOf(t *gotypes.Type) (*Trie, error) {
	if !IsTrieNode(t) || t.Name() != "indirect[interface {},interface {}]" {
		return nil, unknown("a trie of %v", t)
	}
	children, ok := t.Field("children")
	if !ok || children.Type.Kind != gotypes.Array || children.Type.Len > 256 ||
		children.Type.Size != children.Type.Len*memory.PtrSize || t.Size < TrieEntryNext {
		return nil, unknown("a trie of %v without children", t)
	}
	return &Trie{InnerSize: t.Size, Children: children.Offset, Count: children.Type.Len}, nil
}

// IsTrieNode reports whether t is an inner node of a trie. TrieOf knows tries
// of sync.Map alone.
func IsTrieNode(t *gotypes.Type) bool {
	return t.PkgPath == "internal/sync" && strings.HasPrefix(t.Name(), "indirect[")
}

// IsEntry reports whether a node is an entry, by its first byte.
func (t *Trie) IsEntry(first byte) (bool, error) {
	if first > 1 {
		return false, inconsistent("a node of kind %d", first)
	}
	return first == 1, nil
}

// A TrieNode is a node of a trie.
type TrieNode struct {
	memory.Range
	Entry      bool
	Key, Value memory.Address // of an Entry: each is an interface
	Root       bool           // nothing is known of the trie when the root has an Err
	// Err is ErrUnreadable when what the node leads to is not known; the range
	// is then what cannot be read. It wraps ErrInconsistent when the node is no
	// node of a trie. ErrLimit is in the last node only, which has no range.
	Err error
}

// Nodes reads the nodes below the root, a parent before its children, and
// those in order. It visits no more than limit.
func (t *Trie) Nodes(root memory.Address, read ReadFunc, limit int) iter.Seq[TrieNode] {
	type pending struct {
		addr  memory.Address
		level int
		next  bool // it continues an entry
	}
	return func(yield func(TrieNode) bool) {
		stack := []pending{{addr: root}}
		for len(stack) > 0 {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if at.addr == 0 {
				continue
			}
			if limit--; limit < 0 {
				yield(TrieNode{Err: ErrLimit})
				return
			}
			n := TrieNode{Range: memory.RangeOf(at.addr, 1), Root: at.level == 0}
			first, ok := read(at.addr, 1)
			if !ok {
				n.Err = ErrUnreadable
			} else if n.Entry, n.Err = t.IsEntry(first[0]); n.Err == nil && (at.level > maxTrieDepth || at.next && !n.Entry) {
				n.Err = inconsistent("a node at depth %d", at.level)
			}
			if n.Err != nil {
				if !yield(n) {
					return
				}
				continue
			}
			from, count := at.addr.Add(t.Children), t.Count
			n.Range = memory.RangeOf(at.addr, t.InnerSize)
			if n.Entry {
				from, count = at.addr.Add(TrieEntryNext), 1
				n.Range = memory.RangeOf(at.addr, TrieEntrySize)
				n.Key, n.Value = at.addr.Add(TrieEntryKey), at.addr.Add(TrieEntryValue)
			}
			if !yield(n) {
				return
			}
			level := at.level
			if !n.Entry {
				level++
			}
			for i := count; i > 0; i-- {
				word := from.Add((i - 1) * memory.PtrSize)
				child, ok := read.pointer(word)
				if !ok {
					if !yield(TrieNode{Range: memory.RangeOf(word, memory.PtrSize), Err: ErrUnreadable}) {
						return
					}
					continue
				}
				stack = append(stack, pending{child, level, n.Entry})
			}
		}
	}
}
