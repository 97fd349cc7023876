package locate

import (
	"strings"

	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
)

// layouts returns the vmcoreinfo lines for //meminspect:layout and
// //meminspect:number.
func (m *Marks) layouts() []string {
	var t vmcoreinfo.Text
	for _, table := range m.Tables {
		for _, l := range table.Layouts {
			name := table.Package + "." + l.Name
			t.Size(name, l.Bytes)
			for _, f := range l.Fields {
				t.Offset(name, f.Name, f.Offset)
			}
		}
		for _, n := range table.Numbers {
			t.Number(table.Package+"."+n.Name, n.Value)
		}
	}
	return strings.FieldsFunc(string(t.Bytes()), func(r rune) bool { return r == '\n' })
}
