//go:build !meminspect_off

package registry

import (
	"iter"
	"sync"
	"unicode/utf8"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// tagBlock is static, so that a program that runs out of memory can still set
// tags. The linker drops it from programs that set none.
var tagBlock [anchor.MaxTags]tag

// tagLock serializes writers. Readers in this and other processes use states.
var tagLock sync.Mutex

// SetTag sets a tag. It cuts a value that is too long, and removes the tag if
// the value is empty. It allocates nothing.
func SetTag(key, value string) error {
	if !anchor.ValidTagKey(key) {
		return ErrTagKey
	}
	tagLock.Lock()
	defer tagLock.Unlock()
	t := findTag(key)
	switch {
	case t == nil && value == "":
		return nil
	case t == nil:
		return ErrTags
	case t.state.Load() == 0:
		if value == "" {
			return nil
		}
		t.keySize = uint32(copy(t.key[:], key))
	}
	state := t.state.Load() + 1
	if state == 0 {
		state = 2 // 0 is a free slot
	}
	next := state & 1
	if value == "" {
		t.sizes[next] = anchor.TagUnset
	} else {
		t.sizes[next] = uint32(copy(t.values[next][:], cutTag(value)))
	}
	t.state.Store(state)
	root.tags.Store(&tagBlock)
	return nil
}

// cutTag returns the part of a value that fits, without half a character.
func cutTag(value string) string {
	if len(value) <= anchor.MaxTagValue {
		return value
	}
	end := anchor.MaxTagValue
	for end > anchor.MaxTagValue-utf8.UTFMax && !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}

// findTag returns the slot of a key, else the first free one, nil if there is
// none. The caller has the lock.
func findTag(key string) *tag {
	for i := range tagBlock {
		t := &tagBlock[i]
		if t.state.Load() == 0 || string(t.key[:t.keySize]) == key {
			return t
		}
	}
	return nil
}

// Tags returns the tags that are set, in the order of their first setting.
func Tags() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		type pair struct{ key, value string }
		var all []pair
		tagLock.Lock()
		for i := range tagBlock {
			t := &tagBlock[i]
			state := t.state.Load()
			if size := t.sizes[state&1]; state != 0 && size != anchor.TagUnset {
				all = append(all, pair{string(t.key[:t.keySize]), string(t.values[state&1][:size])})
			}
		}
		tagLock.Unlock()
		for _, p := range all {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}
