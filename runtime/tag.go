package meminspect

import "github.com/meminspect/meminspect/runtime/internal/registry"

// SetTag sets a fact about this program that each later core records: the
// tenant that it serves, the configuration that it loaded, the leader's term.
// An empty value removes the tag. A flag --tag of the capturing command with
// the same key takes precedence.
//
// The key has 1 to 64 letters, digits, or characters of ._-/, else the error is
// [ErrTagKey]. A program has at most 32 keys, removed ones included, else the
// error is [ErrTags]. SetTag stores the first 256 bytes of a value.
//
// SetTag allocates nothing, and a crash in the middle of a call leaves the old
// or the new value. It can be called from several goroutines at the same time.
// A core that the program writes of itself has the tags of the moment when it
// was written; coreimage.Live and minidump have those of the moment when their
// head was made.
func SetTag(key, value string) error {
	if registry.Off {
		return nil
	}
	return registry.SetTag(key, value)
}

// Errors of [SetTag].
var (
	// ErrTagKey: the key is empty, too long, or has other characters.
	ErrTagKey error = registry.ErrTagKey
	// ErrTags: 32 keys are in use.
	ErrTags error = registry.ErrTags
)
