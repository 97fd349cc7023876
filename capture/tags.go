package capture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/meminspect/meminspect/runtime/format/note"
)

// Limits of tags.
const (
	maxTags     = 64
	maxTagKey   = 64   // bytes
	maxTagValue = 1024 // bytes
)

// checkTag returns why a tag cannot be stored.
func checkTag(key, value string) error {
	valid := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-/", c)
	}
	switch {
	case key == "" || len(key) > maxTagKey || strings.ContainsFunc(key, func(c rune) bool { return !valid(c) }):
		return fmt.Errorf("tag %q: a key has 1 to %d letters, digits, or characters of ._-/", key, maxTagKey)
	case len(value) > maxTagValue || !utf8.ValidString(value):
		return fmt.Errorf("tag %s: a value is UTF-8 and has at most %d bytes", key, maxTagValue)
	}
	return nil
}

// ParseTag parses a tag of the form KEY=VALUE, as for [Options.Tags].
func ParseTag(text string) (key, value string, err error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", fmt.Errorf("tag %q: it has the form KEY=VALUE", text)
	}
	return key, value, checkTag(key, value)
}

// checkTags returns why tags cannot be stored.
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return fmt.Errorf("%d tags: a core has at most %d", len(tags), maxTags)
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if err := checkTag(key, tags[key]); err != nil {
			return err
		}
	}
	return nil
}

// tagPairs returns tags for the record of a core.
func tagPairs(tags map[string]string) (pairs []note.Pair) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, note.Pair{Key: note.TagPrefix + key, Value: tags[key]})
	}
	return pairs
}
