package tables_test

import (
	"encoding/binary"
	"testing"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// fuzzBase is the address of the fuzzed bytes.
const fuzzBase = 0x10000

// fuzzSeed is a table with one entry, an anchor that links it, a chunk with one
// slot, a heartbeat, a ring, and a tag.
func fuzzSeed() []byte {
	const (
		anchorAt = 0x200
		entryAt  = 0x400
		textAt   = 0x500
		heartAt  = 0x520
		ringAt   = 0x560
		chunkAt  = 0x600
	)
	const tagsAt = chunkAt + anchor.ChunkSize
	b := make([]byte, tagsAt+anchor.MaxTags*anchor.TagSize)
	word := func(off int, v uint64) { binary.LittleEndian.PutUint64(b[off:], v) }
	copy(b[textAt:], "name")
	word(anchor.TableMagicOff, anchor.TableMagic0)
	word(anchor.TableMagicOff+8, anchor.TableMagic1)
	binary.LittleEndian.PutUint32(b[anchor.TableVersionOff:], anchor.TableVersion)
	for _, off := range []int{anchor.TablePackage, entryAt + anchor.EntryName, heartAt + anchor.HeartbeatName, ringAt + anchor.RingName, chunkAt + anchor.ChunkSlots + anchor.SlotName} {
		word(off, fuzzBase+textAt)
		word(off+8, 4)
	}
	word(anchor.TableEntries, fuzzBase+entryAt)
	word(anchor.TableEntries+8, 1)
	word(anchor.TableEntries+16, 1)
	word(anchorAt+anchor.AnchorMagic, anchor.AnchorMagic0)
	word(anchorAt+anchor.AnchorMagic+8, anchor.AnchorMagic1)
	binary.LittleEndian.PutUint32(b[anchorAt+anchor.AnchorVersionOff:], anchor.AnchorVersion)
	binary.LittleEndian.PutUint32(b[anchorAt+anchor.AnchorPtrSize:], 8)
	word(anchorAt+anchor.AnchorTables, fuzzBase)
	word(anchorAt+anchor.AnchorChunks, fuzzBase+chunkAt)
	word(anchorAt+anchor.AnchorHeartbeats, fuzzBase+heartAt)
	word(anchorAt+anchor.AnchorRings, fuzzBase+ringAt)
	word(anchorAt+anchor.AnchorTags, fuzzBase+tagsAt)
	word(tagsAt+anchor.TagState, 1|4<<32)
	word(tagsAt+anchor.TagValueBytes, 3<<32)
	copy(b[tagsAt+anchor.TagKey:], "name")
	copy(b[tagsAt+anchor.TagValues+anchor.MaxTagValue:], "tag")
	binary.LittleEndian.PutUint32(b[chunkAt+anchor.ChunkSlots+anchor.SlotKind:], anchor.SlotValue)
	return b
}

// For any memory, all readers end, and their results come from the memory.
func FuzzFind(f *testing.F) {
	seed := fuzzSeed()
	f.Add(seed)
	found := tables.Find(memory.Buffer{Base: fuzzBase, Data: seed})
	if len(found.Tables) != 1 || len(found.Anchors) != 1 || len(found.Tables[0].Entries) != 1 || found.Tables[0].Package != "name" {
		f.Fatalf("the seed is not read: %+v", found)
	}
	if slots, err := tables.Slots(memory.Buffer{Base: fuzzBase, Data: seed}, found.Anchors[0]); len(slots) != 1 || slots[0].Name != "name" || err != nil {
		f.Fatalf("slots of the seed: %+v, %v", slots, err)
	}
	if tags, err := tables.Tags(memory.Buffer{Base: fuzzBase, Data: seed}, found.Anchors[0]); len(tags) != 1 || tags[0] != (tables.Tag{Key: "name", Value: "tag"}) || err != nil {
		f.Fatalf("tags of the seed: %+v, %v", tags, err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		mem := memory.Buffer{Base: fuzzBase, Data: data}
		found := tables.Find(mem)
		for _, table := range found.Tables {
			if table.Version > anchor.TableVersion || len(table.Entries)*anchor.EntrySize > len(data) || len(table.Package) > len(data) {
				t.Errorf("table %+v of %d bytes", table, len(data))
			}
		}
		for _, a := range found.Anchors {
			if all, err := tables.Linked(mem, a); err == nil && len(all)*16 > len(data) {
				t.Errorf("%d tables in %d bytes", len(all), len(data))
			}
			tags, _ := tables.Tags(mem, a)
			for _, tag := range tags {
				if !anchor.ValidTagKey(tag.Key) || !utf8.ValidString(tag.Value) || len(tag.Value) > anchor.MaxTagValue {
					t.Errorf("tag %+v", tag)
				}
			}
			slots, _ := tables.Slots(mem, a)
			for _, s := range slots {
				if s.Kind == anchor.SlotFree || s.Addr < fuzzBase || len(s.Name) > len(data) {
					t.Errorf("slot %+v", s)
				}
				_, _ = s.Memory(mem)
			}
			beats, _ := tables.Heartbeats(mem, a)
			rings, _ := tables.Rings(mem, a)
			if len(beats)+len(rings) > 2*len(data) {
				t.Errorf("%d heartbeats, %d rings", len(beats), len(rings))
			}
		}
	})
}
