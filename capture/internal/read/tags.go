package read

import (
	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/request"
)

// tagsOf returns the tags that the program has set.
func tagsOf(p *locate.Program, mem memory.Memory) ([]tables.Tag, error) {
	if p.Marks.Anchor == 0 {
		return nil, nil
	}
	root, err := tables.ReadAnchor(mem, p.Marks.Anchor)
	if err != nil {
		return nil, err
	}
	return tables.Tags(mem, root)
}

// withoutExcluded returns the tags without excluded values, as in the message of
// a panic. No value becomes longer than before, or than the word that replaces
// it: the budget counts them already.
func withoutExcluded(tags []tables.Tag, excluded *request.Excluded) []tables.Tag {
	if excluded == nil || len(excluded.Values) == 0 && !excluded.Partial {
		return tags
	}
	var out []tables.Tag
	for _, t := range tags {
		value := crashtext.Censor(t.Value, excluded)
		if value == "" || len(value) > len(t.Value) {
			value = crashtext.Redacted
		}
		out = append(out, tables.Tag{Key: t.Key, Value: value})
	}
	return out
}
