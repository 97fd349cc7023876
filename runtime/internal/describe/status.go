package describe

import (
	"reflect"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// StatusOf returns the status of a region in a core that the program writes of
// itself. That core has all of the region's own bytes and follows no pointers.
func StatusOf(r *registry.Region) note.Status {
	if r.Of != nil { // a part that exclusions leave of a region
		return StatusOf(r.Of) | note.Redacted
	}
	t := r.Type()
	switch {
	case r.Kind == anchor.SlotString || r.Kind == anchor.SlotForeign:
		return note.Complete
	case t == nil:
		return note.Untyped
	case pointers(t):
		return note.Depth
	}
	return note.Complete
}

// pointers reports whether values of a type may lead to other memory.
func pointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if pointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return t.Len() > 0 && pointers(t.Elem())
	}
	return t.Kind() > reflect.Complex128
}
