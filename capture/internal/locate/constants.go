package locate

import (
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// constants returns the constants of the tables. Those that cannot be read are left out:
// their values are numbers then.
func (p *Program) constants() (all []note.Constant) {
	for _, table := range p.Marks.Tables {
		for _, c := range table.Constants {
			all = append(all, p.constantsOf(c)...)
		}
	}
	return all
}

func (p *Program) constantsOf(c tables.Constants) []note.Constant {
	array, err := p.PointedType(c.Type)
	if err != nil || array.Kind != gotypes.Array {
		return nil
	}
	t, err := array.Elem()
	if err != nil || !t.Named || array.Len != uint64(len(c.Names)) || array.Size != array.Len*t.Size {
		return nil
	}
	data, err := memory.Reader{Memory: p.Binary.Memory}.Bytes(c.Values, array.Size, array.Size)
	if err != nil {
		return nil
	}
	all := make([]note.Constant, len(c.Names))
	for i, name := range c.Names {
		value, ok := integer(t.Kind, data[uint64(i)*t.Size:][:t.Size])
		if !ok {
			return nil
		}
		all[i] = note.Constant{PkgPath: t.PkgPath, Type: t.Name(), Name: name, Value: value}
	}
	return all
}

// integer returns the value of an integer, of an unsigned one with 64 bits the same bits.
func integer(kind gotypes.Kind, b []byte) (int64, bool) {
	le := binary.LittleEndian
	switch {
	case kind == gotypes.Int8 && len(b) == 1:
		return int64(int8(b[0])), true
	case kind == gotypes.Int16 && len(b) == 2:
		return int64(int16(le.Uint16(b))), true
	case kind == gotypes.Int32 && len(b) == 4:
		return int64(int32(le.Uint32(b))), true
	case kind == gotypes.Uint8 && len(b) == 1:
		return int64(b[0]), true
	case kind == gotypes.Uint16 && len(b) == 2:
		return int64(le.Uint16(b)), true
	case kind == gotypes.Uint32 && len(b) == 4:
		return int64(le.Uint32(b)), true
	case (kind == gotypes.Int || kind == gotypes.Int64 || kind == gotypes.Uint || kind == gotypes.Uint64 || kind == gotypes.Uintptr) && len(b) == 8:
		return int64(le.Uint64(b)), true
	}
	return 0, false
}
