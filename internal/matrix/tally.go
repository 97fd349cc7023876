package matrix

import (
	"sync/atomic"
	"testing"
)

// A Tally counts the combinations of a matrix: all of them, those that run, and
// those that hold. The test's last line has the figures.
type Tally struct {
	t              *testing.T
	all, ran, held atomic.Int64
}

// NewTally returns a tally that is logged at the end of the test and its subtests.
func NewTally(t *testing.T) *Tally {
	m := &Tally{t: t}
	t.Cleanup(func() {
		t.Logf("%d of %d combinations ran, %d held", m.ran.Load(), m.all.Load(), m.held.Load())
	})
	return m
}

// Skip counts combinations that the sample leaves out.
func (m *Tally) Skip(combinations int) { m.all.Add(int64(combinations)) }

// Run runs a combination as a subtest, which may be parallel.
func (m *Tally) Run(name string, check func(*testing.T)) { m.RunIn(m.t, name, check) }

// RunIn is Run for a combination below a subtest.
func (m *Tally) RunIn(t *testing.T, name string, check func(*testing.T)) {
	m.all.Add(1)
	t.Run(name, func(t *testing.T) {
		m.ran.Add(1)
		t.Cleanup(func() {
			if !t.Failed() && !t.Skipped() {
				m.held.Add(1)
			}
		})
		check(t)
	})
}
