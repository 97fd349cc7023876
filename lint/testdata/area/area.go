package area

const headerLen = 48

type header struct {
	magic uint64
	name  [24]byte
}

// want +2 `size=headerLen is 48 bytes, but whole has only 32`
//
//meminspect:area size=headerLen
var whole header

//meminspect:area size=headerLen-16
var exact header

// want +2 `size=25 is 25 bytes, but member.name has only 24`
//
//meminspect:area size=25 member=name
var member header

// want +2 `size=4096 is 4096 bytes, but buffer has only 24: .* a slice refers to other memory`
//
//meminspect:area size=4KiB
var buffer []byte

//meminspect:area size=4KiB
var arena [1 << 20]byte

// want +2 `but first has only 8` `but second has only 8`
//
//meminspect:area size=64
var first, second uint64

//lint:ignore meminspect/area the size is checked elsewhere
//meminspect:area size=64
var suppressed uint64

func use() {
	_, _, _, _, _, _, _, _ = whole, exact, member, buffer, arena, first, second, suppressed
	use()
}
