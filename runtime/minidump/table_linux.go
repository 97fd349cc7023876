//go:build amd64 || arm64

package minidump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/liveimage"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/shared"
)

// A Table is a table of contents that is kept up to date: a Backend.
type Table struct {
	mu       sync.Mutex
	file     *shared.Mapping
	max      int
	image    *liveimage.Image
	entries  []entry // after the first two
	sequence uint32
}

type entry struct {
	key key
	minidump.Region
}

type key struct {
	id    uint64
	order uint64
	part  int
	addr  uintptr
}

func keyOf(r *registry.Region) key { return key{r.ID, r.Order, r.Part, r.Addr()} }

// regionsAt is where the regions stand in the file.
const regionsAt = 512

// Open makes the table in a file, which is refused if it holds something else,
// and attaches itself, so that it has all regions that there are. Regions that do not fit, or that have no fixed
// address, are reported, each by its name, in an error that comes beside the
// Table; with any other error the Table is nil.
func Open(path string, opts ...Option) (*Table, error) {
	if registry.Off {
		return &Table{}, nil
	}
	o, err := parse(opts)
	if err != nil {
		return nil, err
	}
	file, err := shared.Open(path, regionsAt+o.regions*minidump.RegionSize, minidump.Is)
	if err != nil {
		return nil, fmt.Errorf("minidump: %w", err)
	}
	t, err := newTable(file, o)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("minidump: %w", err)
	}
	describe.Register()
	t.image.Announce()
	return t, registry.Attach((*backend)(t))
}

func newTable(file *shared.Mapping, o options) (*Table, error) {
	image, err := liveimage.New(o.regions - leastRegions)
	if err != nil {
		return nil, err
	}
	t := &Table{file: file, max: o.regions, image: image, sequence: leastRegions}
	clear(file.Bytes)
	t.write()
	at := uint64(uintptr(unsafe.Pointer(&file.Bytes[regionsAt])))
	minidump.PutGlobal(file.Bytes, minidump.Subsystem{Count: leastRegions, Address: at})
	return t, nil
}

// A backend is a Table as the registry sees it.
type backend Table

func (b *backend) Name() string { return "minidump" }

// RegisterRegion appends a region to the table.
func (b *backend) RegisterRegion(r registry.Region) error {
	t := (*Table)(b)
	if id := r.ID; id == anchor.IDELFHeader || id == anchor.IDVMCoreInfo {
		return nil // they stand first in any case
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries)+leastRegions == t.max {
		return fmt.Errorf("%w: %d regions; minidump.Regions allows more where the firmware does", ErrFull, t.max)
	}
	if err := t.image.RegisterRegion(r); err != nil {
		return err
	}
	name := r.Name
	if name == "" {
		name = registry.FormatID(r.ID)
	}
	t.sequence++
	t.entries = append(t.entries, entry{keyOf(&r), minidump.Region{
		Name: minidump.EntryName(name), Sequence: t.sequence, Valid: true, Address: uint64(r.Addr()), Size: (r.Size + 3) &^ 3,
	}})
	t.write()
	return nil
}

// UnregisterRegion takes a region out; later ones move up and the last place is
// cleared.
func (b *backend) UnregisterRegion(r registry.Region) error {
	t := (*Table)(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.entries {
		if t.entries[i].key == keyOf(&r) {
			err := t.image.UnregisterRegion(r)
			t.entries = append(t.entries[:i], t.entries[i+1:]...)
			t.write()
			return err
		}
	}
	return nil
}

// write brings the file up to date: what changed, from the front. An agent that
// looks in the middle of it sees a region twice, or not yet, never half of one
// that says it is valid.
func (t *Table) write() {
	regions := t.file.Bytes[regionsAt:]
	at := 0
	put := func(r minidump.Region) {
		var b [minidump.RegionSize]byte
		r.Put(b[:])
		old := regions[at : at+minidump.RegionSize]
		if string(old) != string(b[:]) {
			binary.LittleEndian.PutUint32(old[minidump.RegionValid:], 0)
			copy(old[:minidump.RegionValid], b[:])
			copy(old[minidump.RegionAddress:], b[minidump.RegionAddress:])
			binary.LittleEndian.PutUint32(old[minidump.RegionValid:], minidump.Valid)
		}
		at += minidump.RegionSize
	}
	for i, p := range t.image.Places()[:leastRegions] {
		put(minidump.Region{Name: minidump.EntryName(p.Name), Sequence: uint32(i + 1), Valid: true, Address: p.Addr, Size: (p.Size + 3) &^ 3})
	}
	for i := range t.entries {
		put(t.entries[i].Region)
	}
	count := uint32(at / minidump.RegionSize)
	binary.LittleEndian.PutUint32(t.file.Bytes[minidump.GlobalSubsystems+minidump.SubsystemRegionCount:], count)
	clear(regions[at:min(at+minidump.RegionSize, len(regions))])
}

// Close withdraws all regions and unmaps the file, which stays.
func (t *Table) Close() error {
	if registry.Off {
		return nil
	}
	err := registry.Detach((*backend)(t))
	t.image.Withdraw()
	return errors.Join(err, t.file.Close())
}
