package stacks

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Labels are a slice of pairs of strings since this release of Go.
const oldestLabels = 24

// Bounds of the labels that are read.
const (
	maxLabels    = 1 << 10
	maxLabelText = 4096
)

// labelsAt returns the labels at addr, nil if the core does not have them.
func (r *reader) labelsAt(addr memory.Address) []Label {
	if addr == 0 || r.p.Version().Minor < oldestLabels {
		return nil
	}
	labels, ok := r.labels[addr]
	if !ok {
		labels = r.readLabels(addr)
		r.labels[addr] = labels
	}
	return labels
}

func (r *reader) readLabels(addr memory.Address) []Label {
	mem := memory.Reader{Memory: r.p.Memory()}
	set, err := mem.Slice(addr)
	if err != nil || set.Len > maxLabels {
		return nil
	}
	const text = 2 * memory.PtrSize
	labels := make([]Label, set.Len)
	for i := range labels {
		at := set.Data.Add(uint64(i) * 2 * text)
		key, err := mem.String(at, maxLabelText)
		if err != nil {
			return nil
		}
		value, err := mem.String(at.Add(text), maxLabelText)
		if err != nil {
			return nil
		}
		labels[i] = Label{key, value}
	}
	slices.SortFunc(labels, func(a, b Label) int { return cmp.Compare(a.Key, b.Key) })
	return labels
}
