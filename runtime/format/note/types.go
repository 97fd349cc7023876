package note

import "fmt"

// TypeTypes is the type of the note that describes the types of regions. It is
// in cores that programs write of themselves: the memory in these cores has no
// type descriptors.
const TypeTypes uint32 = typeBase + 12 // []Type

// A Type is a type of the program.
type Type struct {
	Addr    uint64 // of the runtime's type descriptor
	Kind    uint32 // a reflect.Kind
	Methods uint32 // of an interface
	Size    uint64
	Len     uint64 // of an array
	Elem    uint64 // address of the descriptor of the element or target type, 0 if it is not described
	Name    string // as reflect.Type.String returns it
	PkgPath string // of a declared type
	Fields  []TypeField
}

// A TypeField is a field of a struct.
type TypeField struct {
	Name     string
	Offset   uint64
	Type     uint64 // address of the type's descriptor
	Embedded bool
}

const typeSize = 48

// fieldKind is the kind of a record of a field.
const fieldKind = 1 << 31

// A typeRecord is a type, or a field of the preceding type.
type typeRecord struct {
	addr, size, length, elem uint64
	kind, methods            uint32
	name, pkgPath            string
}

// EncodeTypes returns the descriptor: a head as that of EncodeRegions, records of
// 48 bytes
//
//	0   address  u64
//	8   size     u64
//	16  len      u64
//	24  elem     u64
//	32  kind     u32
//	36  methods  u32
//	40  name     u32, as a region's strings
//	44  package  u32, as a region's strings
//
// and the strings. The fields of a struct follow it, as records with the kind
// 1<<31. Of these address is the offset, elem the type, and methods is 1 for an
// embedded field.
func EncodeTypes(ts []Type) []byte {
	var records []typeRecord
	for i := range ts {
		t := &ts[i]
		records = append(records, typeRecord{t.Addr, t.Size, t.Len, t.Elem, t.Kind, t.Methods, t.Name, t.PkgPath})
		for _, f := range t.Fields {
			r := typeRecord{addr: f.Offset, elem: f.Type, kind: fieldKind, name: f.Name}
			if f.Embedded {
				r.methods = 1
			}
			records = append(records, r)
		}
	}
	return encodeTable(records, typeSize, func(b []byte, r *typeRecord, text func(string) uint32) []byte {
		for _, v := range [...]uint64{r.addr, r.size, r.length, r.elem} {
			b = le.AppendUint64(b, v)
		}
		for _, v := range [...]uint32{r.kind, r.methods, text(r.name), text(r.pkgPath)} {
			b = le.AppendUint32(b, v)
		}
		return b
	})
}

// DecodeTypes reads the result of EncodeTypes.
func DecodeTypes(desc []byte) ([]Type, error) {
	records, err := decodeTable(TypeTypes, "type", desc, typeSize, func(r *typeRecord, b []byte, text func(uint32) string) {
		r.addr, r.size, r.length, r.elem = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
		r.kind, r.methods = le.Uint32(b[32:]), le.Uint32(b[36:])
		r.name, r.pkgPath = text(le.Uint32(b[40:])), text(le.Uint32(b[44:]))
	})
	if err != nil {
		return nil, err
	}
	var ts []Type
	for _, r := range records {
		if r.kind != fieldKind {
			ts = append(ts, Type{Addr: r.addr, Kind: r.kind, Methods: r.methods, Size: r.size, Len: r.length, Elem: r.elem, Name: r.name, PkgPath: r.pkgPath})
			continue
		}
		if len(ts) == 0 {
			return nil, fmt.Errorf("%w: the field %q of no struct", ErrMalformed, r.name)
		}
		last := &ts[len(ts)-1]
		last.Fields = append(last.Fields, TypeField{Name: r.name, Offset: r.addr, Type: r.elem, Embedded: r.methods == 1})
	}
	return ts, nil
}
