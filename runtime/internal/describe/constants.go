package describe

import (
	"reflect"

	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// Constants returns the constants of the tables.
func Constants() (all []note.Constant) {
	for table := range registry.Tables() {
		for _, c := range table.Constants {
			values := reflect.ValueOf(c.Values)
			if values.Kind() != reflect.Pointer || values.Elem().Kind() != reflect.Array {
				continue // the table was written by hand; a dying program must not panic here
			}
			values = values.Elem()
			of := values.Type().Elem()
			for i, name := range c.Names[:min(len(c.Names), values.Len())] {
				k := note.Constant{PkgPath: of.PkgPath(), Type: of.Name(), Name: name}
				switch v := values.Index(i); {
				case v.CanInt():
					k.Value = v.Int()
				case v.CanUint():
					k.Value = int64(v.Uint())
				default:
					continue
				}
				all = append(all, k)
			}
		}
	}
	return all
}
