package tables

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Tag is a fact that the program has set about itself.
type Tag struct{ Key, Value string }

var errTag = errors.New("it is damaged")

// Tags reads the program's tags, in the order of their keys' first setting. An
// error comes with those that can be read. If the program runs, each value is
// whole, but two values may be of different moments.
func Tags(mem memory.Memory, a *Anchor) ([]Tag, error) {
	if a.Tags == 0 {
		return nil, nil
	}
	d := newDecoder(mem)
	var all []Tag
	var failed error
	for i := range anchor.MaxTags {
		addr := a.Tags.Add(uint64(i) * anchor.TagSize)
		t, set, err := d.tag(addr)
		if err != nil && failed == nil {
			failed = fmt.Errorf("tag at %v: %w", addr, err)
		}
		if err == nil && set {
			all = append(all, t)
		}
	}
	return all, failed
}

// tag reads a tag, until it did not change during the read. It reports whether
// the tag is set. The state is read before and after: within one read, the kernel copies
// the words in any order.
func (d *decoder) tag(addr memory.Address) (t Tag, set bool, err error) {
	const tries = 20
	for range tries {
		before, err := d.record(addr, anchor.TagKeyBytes)
		if err != nil {
			return Tag{}, false, err
		}
		r, err := d.record(addr, anchor.TagSize)
		if err != nil {
			return Tag{}, false, err
		}
		after, err := d.record(addr, anchor.TagKeyBytes)
		if err != nil {
			return Tag{}, false, err
		}
		if state := before.u32(anchor.TagState); state == after.u32(anchor.TagState) {
			return tag(r, state)
		}
	}
	return Tag{}, false, errors.New("it changed each time it was read")
}

func tag(r *record, state uint32) (t Tag, set bool, err error) {
	if state == 0 {
		return Tag{}, false, nil
	}
	half := int(state & 1)
	size := r.u32(anchor.TagValueBytes + 4*half)
	if size == anchor.TagUnset {
		return Tag{}, false, nil
	}
	keySize := r.u32(anchor.TagKeyBytes)
	if keySize > anchor.MaxTagKey || size > anchor.MaxTagValue {
		return Tag{}, false, errTag
	}
	value := r.b[anchor.TagValues+half*anchor.MaxTagValue:]
	// The program sets any bytes, and those that are not UTF-8 are replaced.
	t = Tag{string(r.b[anchor.TagKey:][:keySize]), strings.ToValidUTF8(string(value[:size]), "?")}
	if !anchor.ValidTagKey(t.Key) {
		return Tag{}, false, errTag
	}
	return t, true, nil
}
