package note

// TypeConstants is the type of the note that names the constants of declared integer types.
const TypeConstants uint32 = typeBase + 17 // []Constant

// A Constant is a constant of a declared integer type.
type Constant struct {
	PkgPath string // of the type, as reflect.Type.PkgPath returns it
	Type    string // name of the type without the package
	Name    string
	Value   int64 // of an unsigned type, the same 64 bits
}

const constantSize = 24

// EncodeConstants returns the descriptor: a head as that of EncodeRegions, records of
// 24 bytes
//
//	0   value    i64
//	8   package  u32, as a region's strings
//	12  type     u32, as a region's strings
//	16  name     u32, as a region's strings
//	20  0        u32
//
// and the strings.
func EncodeConstants(cs []Constant) []byte {
	return encodeTable(cs, constantSize, func(b []byte, c *Constant, text func(string) uint32) []byte {
		b = le.AppendUint64(b, uint64(c.Value))
		for _, v := range [...]uint32{text(c.PkgPath), text(c.Type), text(c.Name), 0} {
			b = le.AppendUint32(b, v)
		}
		return b
	})
}

// DecodeConstants reads the result of EncodeConstants.
func DecodeConstants(desc []byte) ([]Constant, error) {
	return decodeTable(TypeConstants, "constant", desc, constantSize, func(c *Constant, b []byte, text func(uint32) string) {
		c.Value = int64(le.Uint64(b))
		c.PkgPath, c.Type, c.Name = text(le.Uint32(b[8:])), text(le.Uint32(b[12:])), text(le.Uint32(b[16:]))
	})
}
