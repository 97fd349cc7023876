package own

import "github.com/meminspect/meminspect/runtime"

//meminspect:entry
var table [4]int

//meminspect:id Config

//meminspect:id Once

//meminspect:id Back

//meminspect:id Many

//meminspect:id Choice

var v, w int

func init() {
	meminspect.Register(IDOnce, &v)
}

func init() {
	if _, err := meminspect.Register(IDOnce, &v); err != nil { // want `IDOnce is already registered at own.go:21`
		panic(err)
	}
}

func start(first bool) error {
	meminspect.Register(idTable, &v) // want `Register with the ID of table, which its annotation at own.go:5 has already`

	if _, err := meminspect.Register(IDConfig, &v); err != nil {
		return err
	}
	_, err := meminspect.Register(IDConfig, &w) // want `IDConfig is already registered at line 33`

	meminspect.Register(IDBack, &v)
	meminspect.Unregister(IDBack)
	meminspect.Register(IDBack, &w)

	meminspect.Register(IDMany, &v)
	meminspect.Register(IDMany, &w, meminspect.Another())

	if first {
		meminspect.Register(IDChoice, &v)
	} else {
		meminspect.Register(IDChoice, &w)
	}
	return err
}
