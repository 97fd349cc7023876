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
			values := reflect.ValueOf(c.Values).Elem()
			of := values.Type().Elem()
			for i, name := range c.Names {
				k := note.Constant{PkgPath: of.PkgPath(), Type: of.Name(), Name: name}
				if v := values.Index(i); v.CanInt() {
					k.Value = v.Int()
				} else {
					k.Value = int64(v.Uint())
				}
				all = append(all, k)
			}
		}
	}
	return all
}
