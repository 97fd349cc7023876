//go:build !meminspect_off

package registry

import (
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// External readers read these structs by offset.
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the documented layout is that of 64-bit programs")
	}
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"Table", unsafe.Sizeof(Table{}), anchor.TableSize},
		{"Table.Version", unsafe.Offsetof(Table{}.Version), anchor.TableVersionOff},
		{"Table.flags", unsafe.Offsetof(Table{}.flags), anchor.TableFlags},
		{"Table.next", unsafe.Offsetof(Table{}.next), anchor.TableNext},
		{"Table.Package", unsafe.Offsetof(Table{}.Package), anchor.TablePackage},
		{"Table.Namespace", unsafe.Offsetof(Table{}.Namespace), anchor.TableNamespace},
		{"Table.Entries", unsafe.Offsetof(Table{}.Entries), anchor.TableEntries},
		{"Table.Exclusions", unsafe.Offsetof(Table{}.Exclusions), anchor.TableExclusions},
		{"Table.Layouts", unsafe.Offsetof(Table{}.Layouts), anchor.TableLayouts},
		{"Table.Numbers", unsafe.Offsetof(Table{}.Numbers), anchor.TableNumbers},
		{"Table.Constants", unsafe.Offsetof(Table{}.Constants), anchor.TableConstants},
		{"Table.Declared", unsafe.Offsetof(Table{}.Declared), anchor.TableDeclared},

		{"Entry", unsafe.Sizeof(Entry{}), anchor.EntrySize},
		{"Entry.Name", unsafe.Offsetof(Entry{}.Name), anchor.EntryName},
		{"Entry.Expr", unsafe.Offsetof(Entry{}.Expr), anchor.EntryExpr},
		{"Entry.Var", unsafe.Offsetof(Entry{}.Var), anchor.EntryVar},
		{"Entry.Size", unsafe.Offsetof(Entry{}.Size), anchor.EntryBytes},
		{"Entry.Budget", unsafe.Offsetof(Entry{}.Budget), anchor.EntryBudget},
		{"Entry.Depth", unsafe.Offsetof(Entry{}.Depth), anchor.EntryDepth},
		{"Entry.Flags", unsafe.Offsetof(Entry{}.Flags), anchor.EntryFlags},
		{"Entry.Pos", unsafe.Offsetof(Entry{}.Pos), anchor.EntryPos},
		{"Entry.Note", unsafe.Offsetof(Entry{}.Note), anchor.EntryNote},

		{"Exclusion", unsafe.Sizeof(Exclusion{}), anchor.ExclusionSize},
		{"Exclusion.Var", unsafe.Offsetof(Exclusion{}.Var), anchor.ExclusionVar},
		{"Exclusion.Offset", unsafe.Offsetof(Exclusion{}.Offset), anchor.ExclusionOffset},
		{"Exclusion.Size", unsafe.Offsetof(Exclusion{}.Size), anchor.ExclusionBytes},
		{"Exclusion.Package", unsafe.Offsetof(Exclusion{}.Package), anchor.ExclusionPackage},
		{"Exclusion.Type", unsafe.Offsetof(Exclusion{}.Type), anchor.ExclusionType},
		{"Exclusion.Field", unsafe.Offsetof(Exclusion{}.Field), anchor.ExclusionField},
		{"Exclusion.Pos", unsafe.Offsetof(Exclusion{}.Pos), anchor.ExclusionPos},

		{"Layout", unsafe.Sizeof(Layout{}), anchor.LayoutSize},
		{"Layout.Size", unsafe.Offsetof(Layout{}.Size), anchor.LayoutBytes},
		{"Layout.Fields", unsafe.Offsetof(Layout{}.Fields), anchor.LayoutFields},
		{"LayoutField", unsafe.Sizeof(LayoutField{}), anchor.LayoutFieldSize},
		{"LayoutField.Offset", unsafe.Offsetof(LayoutField{}.Offset), anchor.LayoutFieldOffset},
		{"LayoutField.Size", unsafe.Offsetof(LayoutField{}.Size), anchor.LayoutFieldBytes},

		{"Number", unsafe.Sizeof(Number{}), anchor.NumberSize},
		{"Number.Value", unsafe.Offsetof(Number{}.Value), anchor.NumberValue},
		{"Declared", unsafe.Sizeof(Declared{}), anchor.DeclaredSize},
		{"Declared.Name", unsafe.Offsetof(Declared{}.Name), anchor.DeclaredName},
		{"Declared.Pos", unsafe.Offsetof(Declared{}.Pos), anchor.DeclaredPos},
		{"Constants", unsafe.Sizeof(Constants{}), anchor.ConstantsSize},
		{"Constants.Names", unsafe.Offsetof(Constants{}.Names), anchor.ConstantsNames},
		{"Constants.Values", unsafe.Offsetof(Constants{}.Values), anchor.ConstantsValues},

		{"anchor", unsafe.Sizeof(root), anchor.AnchorSize},
		{"anchor.version", unsafe.Offsetof(root.version), anchor.AnchorVersionOff},
		{"anchor.ptrSize", unsafe.Offsetof(root.ptrSize), anchor.AnchorPtrSize},
		{"anchor.seq", unsafe.Offsetof(root.seq), anchor.AnchorSeq},
		{"anchor.tables", unsafe.Offsetof(root.tables), anchor.AnchorTables},
		{"anchor.chunks", unsafe.Offsetof(root.chunks), anchor.AnchorChunks},
		{"anchor.regions", unsafe.Offsetof(root.regions), anchor.AnchorRegions},
		{"anchor.heartbeats", unsafe.Offsetof(root.heartbeats), anchor.AnchorHeartbeats},
		{"anchor.rings", unsafe.Offsetof(root.rings), anchor.AnchorRings},
		{"anchor.crashFD", unsafe.Offsetof(root.crashFD), anchor.AnchorCrashFD},
		{"anchor.snapshots", unsafe.Offsetof(root.snapshots), anchor.AnchorSnapshots},
		{"anchor.reason", unsafe.Offsetof(root.reason), anchor.AnchorReason},
		{"anchor.tags", unsafe.Offsetof(root.tags), anchor.AnchorTags},

		{"tag", unsafe.Sizeof(tag{}), anchor.TagSize},
		{"tag.state", unsafe.Offsetof(tag{}.state), anchor.TagState},
		{"tag.keySize", unsafe.Offsetof(tag{}.keySize), anchor.TagKeyBytes},
		{"tag.sizes", unsafe.Offsetof(tag{}.sizes), anchor.TagValueBytes},
		{"tag.key", unsafe.Offsetof(tag{}.key), anchor.TagKey},
		{"tag.values", unsafe.Offsetof(tag{}.values), anchor.TagValues},

		{"chunk", unsafe.Sizeof(chunk{}), anchor.ChunkSize},
		{"chunk.slots", unsafe.Offsetof(chunk{}.slots), anchor.ChunkSlots},
		{"slot", unsafe.Sizeof(Slot{}), anchor.SlotSize},
		{"Slot.Kind", unsafe.Offsetof(Slot{}.Kind), anchor.SlotKind},
		{"Slot.ID", unsafe.Offsetof(Slot{}.ID), anchor.SlotID},
		{"Slot.Base", unsafe.Offsetof(Slot{}.Base), anchor.SlotBase},
		{"Slot.Addr", unsafe.Offsetof(Slot{}.Addr), anchor.SlotAddr},
		{"Slot.Size", unsafe.Offsetof(Slot{}.Size), anchor.SlotBytes},
		{"Slot.Type", unsafe.Offsetof(Slot{}.Type), anchor.SlotType},
		{"Slot.Name", unsafe.Offsetof(Slot{}.Name), anchor.SlotName},
		{"Slot.Depth", unsafe.Offsetof(Slot{}.Depth), anchor.SlotDepth},
		{"Slot.Flags", unsafe.Offsetof(Slot{}.Flags), anchor.SlotFlags},
		{"Slot.Budget", unsafe.Offsetof(Slot{}.Budget), anchor.SlotBudget},
		{"slot.order", unsafe.Offsetof(Slot{}.order), anchor.SlotOrder},

		{"Heartbeat", unsafe.Sizeof(Heartbeat{}), anchor.HeartbeatSize},
		{"Heartbeat.name", unsafe.Offsetof(Heartbeat{}.name), anchor.HeartbeatName},
		{"Heartbeat.limit", unsafe.Offsetof(Heartbeat{}.limit), anchor.HeartbeatLimit},
		{"Heartbeat.count", unsafe.Offsetof(Heartbeat{}.count), anchor.HeartbeatCount},
		{"Heartbeat.state", unsafe.Offsetof(Heartbeat{}.state), anchor.HeartbeatState},
		{"ring", unsafe.Sizeof(ring{}), anchor.RingSize},
		{"ring.data", unsafe.Offsetof(ring{}.data), anchor.RingData},
		{"ring.size", unsafe.Offsetof(ring{}.size), anchor.RingBytes},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, documented as %d", c.what, c.got, c.want)
		}
	}
}
