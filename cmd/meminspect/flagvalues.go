package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/runtime/format/place"
)

// A choice is a flag that takes one of a few words.
type choice struct {
	value string
	words []string
}

// choose returns a flag that takes one of words. The first is the default.
func choose(words ...string) choice { return choice{words[0], words} }

func (c *choice) String() string { return c.value }

// Set implements pflag.Value.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("must be %s or %s", strings.Join(c.words[:len(c.words)-1], ", "), c.words[len(c.words)-1])
	}
	c.value = word
	return nil
}

// Type implements pflag.Value.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

func (c *choice) completions() []string { return c.words }

// anyNumber is the upper bound of a number without one.
const anyNumber = math.MaxInt32

// A number is a flag with an integer within bounds.
type number struct {
	value    *int
	min, max int
}

func (n number) String() string { return strconv.Itoa(*n.value) }

// Set implements pflag.Value.
func (n number) Set(text string) error {
	value, err := strconv.Atoi(text)
	switch {
	case err == nil && value >= n.min && value <= n.max:
		*n.value = value
		return nil
	case n.max == anyNumber:
		return fmt.Errorf("must be a number, %d or more", n.min)
	default:
		return fmt.Errorf("must be a number from %d to %d", n.min, n.max)
	}
}

// Type implements pflag.Value.
func (n number) Type() string { return "number" }

// tags is a repeatable flag with KEY=VALUE.
type tags map[string]string

func (t tags) String() string { return "" } // the default is no tags

// Set implements pflag.Value.
func (t tags) Set(text string) error {
	key, value, err := capture.ParseTag(text)
	if err != nil {
		return err
	}
	t[key] = value
	return nil
}

// Type implements pflag.Value.
func (t tags) Type() string { return "tag" }

// GetSlice, Append and Replace implement pflag.SliceValue.
func (t tags) GetSlice() (all []string) {
	for _, key := range sortedKeys(t) {
		all = append(all, key+"="+t[key])
	}
	return all
}

// Append is the same as Set.
func (t tags) Append(text string) error { return t.Set(text) }

// Replace replaces all tags.
func (t tags) Replace(all []string) error {
	clear(t)
	for _, text := range all {
		if err := t.Set(text); err != nil {
			return err
		}
	}
	return nil
}

// A placeField is a flag that names the program's pod, node or image.
type placeField string

func (p *placeField) String() string { return string(*p) }

// Set implements pflag.Value.
func (p *placeField) Set(text string) error {
	if !place.Valid(text) {
		return fmt.Errorf("must be one line of printable UTF-8 of at most %d bytes", place.MaxValue)
	}
	*p = placeField(text)
	return nil
}

// Type implements pflag.Value.
func (p *placeField) Type() string { return "name" }

// attached is a repeatable flag with the path of a file.
type attached []string

func (a *attached) String() string { return "" } // the default is no files

// Set implements pflag.Value.
func (a *attached) Set(path string) error { return a.Replace(append(*a, path)) }

// Type implements pflag.Value.
func (a *attached) Type() string { return "file" }

// GetSlice, Append and Replace implement pflag.SliceValue.
func (a *attached) GetSlice() []string { return *a }

// Append is the same as Set.
func (a *attached) Append(path string) error { return a.Set(path) }

// Replace replaces all paths.
func (a *attached) Replace(paths []string) error {
	if len(paths) > capture.MaxAttached {
		return fmt.Errorf("a core has at most %d attached files", capture.MaxAttached)
	}
	*a = paths
	return nil
}
