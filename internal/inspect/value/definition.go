package value

import (
	"strings"

	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// Definition returns the type of the value in Go syntax, a struct with its fields.
func (pl Place) Definition() string {
	if pl.Form != One || pl.Type == nil || pl.Type.Kind != gotypes.Struct || !pl.Type.Named {
		return pl.TypeName()
	}
	if len(pl.Type.Fields) == 0 {
		return pl.TypeName() + " struct{}"
	}
	var b strings.Builder
	b.WriteString(pl.TypeName() + " struct {\n")
	for i := range pl.Type.Fields {
		f := &pl.Type.Fields[i]
		b.WriteString("\t")
		if !f.Embedded {
			b.WriteString(f.Name + " ")
		}
		b.WriteString(f.Type.String() + "\n")
	}
	b.WriteString("}")
	return b.String()
}
