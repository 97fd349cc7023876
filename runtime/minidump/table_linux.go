//go:build amd64 || arm64

package minidump

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/internal/describe"
	"github.com/meminspect/meminspect/runtime/internal/liveimage"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/shared"
)

// A Table is a table of contents that is kept up to date. Its methods can be
// called from several goroutines at the same time.
//
// The file has two arrays of regions, and the image two heads. A change is
// written to those that the table does not refer to, and one store of the
// array's address switches to them. So a table that is frozen at any moment,
// because the program was killed or the machine stopped, refers to one complete
// head and its regions.
type Table struct {
	mu       sync.Mutex
	file     *shared.Mapping
	max      int
	image    *liveimage.Image
	entries  []entry // after the first two
	sequence uint32
	arrays   [2]array
	current  int    // index of the array that the table refers to
	order    int    // counts removals, which move the other entries
	stored   func() // for tests: called after each store that an agent could observe
}

// An array is the memory of max regions, of which the first count are used and
// the others zero.
type array struct {
	regions []byte
	count   int
	order   int // of its entries, see Table
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

// arraysAt is the file offset of the arrays of regions.
const arraysAt = 512

// Open makes the table in a file and attaches itself, so that the table lists
// all current regions. It rejects a file of another format. If it returns a
// Table and an error, the error names each region that does not fit or has no
// fixed address. With any other error the Table is nil.
func Open(path string, opts ...Option) (*Table, error) {
	if registry.Off {
		return &Table{}, nil
	}
	o, err := parse(opts)
	if err != nil {
		return nil, err
	}
	file, err := shared.Open(path, arraysAt+2*o.regions*minidump.RegionSize, minidump.Is)
	if err != nil {
		return nil, fmt.Errorf("minidump: %w", err)
	}
	t, err := newTable(file, o)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("minidump: %w", err)
	}
	describe.Register()
	return t, registry.Attach((*backend)(t))
}

func newTable(file *shared.Mapping, o options) (*Table, error) {
	image, err := liveimage.New(o.regions - leastRegions)
	if err != nil {
		return nil, err
	}
	t := &Table{file: file, max: o.regions, image: image, sequence: leastRegions, stored: func() {}}
	clear(file.Bytes)
	for i := range t.arrays {
		size := o.regions * minidump.RegionSize
		t.arrays[i].regions = file.Bytes[arraysAt+i*size:][:size]
	}
	minidump.PutGlobal(file.Bytes, minidump.Subsystem{Address: t.arrays[0].address()})
	t.write()
	return t, nil
}

func (a *array) address() uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a.regions)))) }

// A backend adapts a Table to the registry's interface.
type backend Table

func (b *backend) Name() string { return "minidump" }

// RegisterRegion appends a region to the table.
func (b *backend) RegisterRegion(r registry.Region) error {
	t := (*Table)(b)
	if id := r.ID; id == anchor.IDELFHeader || id == anchor.IDVMCoreInfo {
		return nil // they are first in any case
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries)+leastRegions == t.max {
		return fmt.Errorf("%w: %d regions; minidump.Regions allows more where the firmware does", ErrFull, t.max)
	}
	if err := t.image.RegisterRegion(r); err != nil {
		return err
	}
	t.sequence++
	name := minidump.UnnamedEntry(t.sequence)
	if r.Name != "" {
		name = minidump.EntryName(r.Name)
	}
	t.entries = append(t.entries, entry{keyOf(&r), minidump.Region{
		Name: name, Sequence: t.sequence, Valid: true, Address: uint64(r.Addr()), Size: (r.Size + 3) &^ 3,
	}})
	t.write()
	return nil
}

// UnregisterRegion removes a region; later ones move up and the last slot is
// cleared.
func (b *backend) UnregisterRegion(r registry.Region) error {
	t := (*Table)(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.entries {
		if t.entries[i].key == keyOf(&r) {
			err := t.image.UnregisterRegion(r)
			t.entries = append(t.entries[:i], t.entries[i+1:]...)
			t.order++
			t.write()
			return err
		}
	}
	return nil
}

// write brings the other array up to date and switches to it.
func (t *Table) write() {
	now, next := &t.arrays[t.current], &t.arrays[1-t.current]
	count := 0
	put := func(r minidump.Region) {
		r.Put(next.regions[count*minidump.RegionSize:])
		count++
		t.stored()
	}
	for i, p := range t.image.Head() {
		put(minidump.Region{Name: minidump.EntryName(p.Name), Sequence: uint32(i + 1), Valid: true, Address: p.Addr, Size: (p.Size + 3) &^ 3})
	}
	if next.order == t.order {
		count = max(count, next.count)
	}
	for _, e := range t.entries[count-leastRegions:] {
		put(e.Region)
	}
	clear(next.regions[count*minidump.RegionSize : max(count, next.count)*minidump.RegionSize])
	next.count, next.order = count, t.order
	t.stored()

	// Agents skip invalid regions, and zeros are invalid. So a count that is too
	// large is correct for both arrays while the address changes.
	t.storeCount(max(now.count, count))
	t.storeAddress(next.address())
	t.storeCount(count)
	t.current = 1 - t.current
}

// Only these words of subsystem 0 change. Files are little-endian, like the
// machine.
func (t *Table) storeCount(n int) {
	word := &t.file.Bytes[minidump.GlobalSubsystems+minidump.SubsystemRegionCount]
	atomic.StoreUint32((*uint32)(unsafe.Pointer(word)), uint32(n))
	t.stored()
}

func (t *Table) storeAddress(at uint64) {
	word := &t.file.Bytes[minidump.GlobalSubsystems+minidump.SubsystemRegions]
	atomic.StoreUint64((*uint64)(unsafe.Pointer(word)), at)
	t.stored()
}

// Close unregisters all regions and unmaps the file, which stays.
func (t *Table) Close() error {
	if registry.Off {
		return nil
	}
	err := registry.Detach((*backend)(t))
	return errors.Join(err, t.file.Close())
}
