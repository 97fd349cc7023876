package unknownid

import (
	"example.com/fixture/unknownid/lib"
	"github.com/meminspect/meminspect/runtime"
)

//meminspect:id local

const alias = lib.IDConfig

const invented meminspect.ID = 0x8000000000000001

var v int

func register(id meminspect.ID) {
	meminspect.Register(invented, &v)            // want `Register with 0x8000000000000001, which is not the ID of an annotation`
	meminspect.RegisterString(7, "seven")        // want `RegisterString with 0x7, which is not the ID of an annotation`
	meminspect.Register(meminspect.ID(1<<3), &v) // want `Register with 0x8`

	meminspect.RegisterAll(
		meminspect.Value(10, &v), // want `Value with 0xa`
		meminspect.Value(lib.IDConfig, &v),
	)
	meminspect.Replace(11, &v) // want `Replace with 0xb`

	meminspect.Register(lib.IDConfig, &v)
	meminspect.Register(alias, &v)
	meminspect.Register(idLocal, &v)
	meminspect.Register(id, &v)
	dynamic, _ := meminspect.Register(meminspect.IDDynamic, &v)
	_ = dynamic

	//lint:ignore meminspect/unknownid a number that another tool gave
	meminspect.Register(9, &v)
}
