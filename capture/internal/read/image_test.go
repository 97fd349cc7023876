package read

import (
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Words that changed between two readings are torn, and the second reading is
// kept.
func TestTorn(t *testing.T) {
	im, err := (&copier{mem: &moving{}, moving: true, progress: func(string, uint64, uint64) {}}).copyTwice(memory.Ranges{memory.RangeOf(0x1000, 64)})
	if err != nil {
		t.Fatal(err)
	}
	want := memory.Range{Start: 0x1010, End: 0x1020}
	if len(im.Torn) != 1 || im.Torn[0] != want {
		t.Errorf("torn: %v, want %v", im.Torn, want)
	}
	if im.Pieces[0].Data[0x10] != 2 {
		t.Errorf("the first reading was kept")
	}
}

// moving is memory of which two words change with each reading.
type moving struct{ n byte }

func (m *moving) ReadAt(p []byte, addr memory.Address) (int, error) {
	m.n++
	for i := range p {
		p[i] = 0
		if at := addr.Add(uint64(i)); at >= 0x1010 && at < 0x1020 {
			p[i] = m.n
		}
	}
	return len(p), nil
}

// A budget grants the first bytes, and no more.
func TestBudget(t *testing.T) {
	q := queue{left: 100}
	if n := q.add(memory.RangeOf(0x1000, 60)); n != 60 {
		t.Errorf("granted %d of 60", n)
	}
	if n := q.addTrusted(memory.RangeOf(0x2000, 60)); n != 40 || len(q.trusted) != 1 || q.trusted[0].Size() != 40 {
		t.Errorf("granted %d of 60 with 40 left, trusted %v", n, q.trusted)
	}
	if n := q.addTrusted(memory.RangeOf(0x3000, 60)); n != 0 || len(q.wanted) != 2 || len(q.trusted) != 1 {
		t.Errorf("granted %d with nothing left", n)
	}
}
