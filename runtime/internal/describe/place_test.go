//go:build !meminspect_off

package describe

import (
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A core that the program writes of itself has its tags, and no values of them
// if exclusions exist.
func TestTags(t *testing.T) {
	set := func(value string) {
		if err := registry.SetTag("tenant", value); err != nil {
			t.Fatal(err)
		}
	}
	set("blue")
	defer set("")
	if got := Tags(); !slices.Equal(got, []note.Pair{{Key: note.TagPrefix + "tenant", Value: "blue"}}) {
		t.Errorf("%q", got)
	}
	secret := new(byte)
	slot := registry.Slot{Base: secret, Size: 1, Type: registry.TypeWord(secret)}
	if err := registry.Exclude(&slot); err != nil {
		t.Fatal(err)
	}
	defer registry.Remove(slot.ID)
	if got := Tags(); !slices.Equal(got, []note.Pair{{Key: note.TagPrefix + "tenant", Value: redacted}}) {
		t.Errorf("with an exclusion %v: %q", slot.ID >= anchor.FirstDynamic, got)
	}
}

// Of the environment's values, only those that describe the place are recorded.
func TestPlace(t *testing.T) {
	t.Setenv("POD_NAME", "shop-7d9f")
	t.Setenv("CONTAINER_IMAGE", "example.com/shop:1")
	t.Setenv("TOKEN", "hunter2hunter2")
	text := "\n" + string(Process(false))
	for _, want := range []string{"\nPOD=shop-7d9f\n", "\nIMAGE=example.com/shop:1\n", " TOKEN"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a value of the environment in%s", text)
	}
}
