//go:build !meminspect_off

package meminspect

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// clearTags removes the values of earlier tests; their keys stay in use.
func clearTags(t *testing.T) {
	t.Helper()
	for key := range registry.Tags() {
		if err := SetTag(key, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func wantTags(t *testing.T, want map[string]string) {
	t.Helper()
	if got := maps.Collect(registry.Tags()); !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSetTag(t *testing.T) {
	defer clearTags(t)
	set := func(key, value string) {
		t.Helper()
		if err := SetTag(key, value); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	set("tenant", "blue")
	set("term", "1")
	set("term", "2")
	set("absent", "")
	wantTags(t, map[string]string{"tenant": "blue", "term": "2"})
	set("tenant", "")
	wantTags(t, map[string]string{"term": "2"})
	set("tenant", "green")
	long := strings.Repeat("ü", anchor.MaxTagValue) // two bytes each
	set("term", "x"+long)
	got := maps.Collect(registry.Tags())
	if v := got["term"]; len(v) != anchor.MaxTagValue-1 || !utf8.ValidString(v) || got["tenant"] != "green" {
		t.Errorf("%q", got)
	}
	for _, key := range []string{"", "two words", "ü", "a=b", strings.Repeat("k", anchor.MaxTagKey+1)} {
		if err := SetTag(key, "x"); !errors.Is(err, ErrTagKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// A program that is out of memory can still set its first tag.
func TestSetTagAllocates(t *testing.T) {
	defer clearTags(t)
	value := strings.Repeat("v", 300)
	if n := testing.AllocsPerRun(100, func() {
		if SetTag("tenant", value) != nil || SetTag("tenant", "") != nil || SetTag("not valid", "") == nil {
			t.Error("unexpected result")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Writers of one key and of different keys leave whole values.
func TestSetTagAtOnce(t *testing.T) {
	defer clearTags(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 200 {
				text := strings.Repeat(string(rune('a'+i)), 1+n)
				if err := errors.Join(SetTag("shared", text), SetTag(fmt.Sprint("own-", i), text)); err != nil {
					t.Error(err)
				}
				for _, v := range maps.Collect(registry.Tags()) {
					if strings.Trim(v, v[:1]) != "" {
						t.Errorf("a mixed value: %q", v)
					}
				}
			}
		}()
	}
	wg.Wait()
}

func TestTooManyTags(t *testing.T) {
	defer clearTags(t)
	var err error
	for i := 0; err == nil && i <= anchor.MaxTags; i++ {
		err = SetTag(fmt.Sprint("many-", i), "x")
	}
	if !errors.Is(err, ErrTags) {
		t.Errorf("%v", err)
	}
	if err := SetTag("many-more", ""); err != nil {
		t.Errorf("removing an absent tag: %v", err)
	}
	if err := SetTag("many-0", "y"); err != nil {
		t.Errorf("changing a tag: %v", err)
	}
}
