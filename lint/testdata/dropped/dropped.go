package dropped

import "github.com/meminspect/meminspect/runtime"

var v, w int

func drops() {
	meminspect.Register(meminspect.IDDynamic, &v)                            // want `the ID that Register picks is not kept`
	_, err := meminspect.Register(meminspect.IDDynamic, &v)                  // want `the ID that Register picks is not kept`
	_, _ = meminspect.RegisterSlice(0, []int{1})                             // want `the ID that RegisterSlice picks is not kept`
	defer meminspect.RegisterString(meminspect.IDDynamic, "a")               // want `the ID that RegisterString picks is not kept`
	if _, err := meminspect.Register(meminspect.IDDynamic, &w); err != nil { // want `is not kept`
		panic(err)
	}
	_ = err
}

func keeps() (meminspect.ID, error) {
	id, err := meminspect.Register(meminspect.IDDynamic, &v)
	if err != nil {
		return 0, err
	}
	keep(meminspect.Register(meminspect.IDDynamic, &w))
	//nolint:meminspect // lives as long as the program
	meminspect.Register(meminspect.IDDynamic, &v)
	meminspect.Register(id, &v)
	return meminspect.Register(meminspect.IDDynamic, &w)
}

func others() {
	p, _, _ := meminspect.New[int](meminspect.IDDynamic)
	defer meminspect.Free(p)
	meminspect.RegisterWeak(meminspect.IDDynamic, &v)
	meminspect.RegisterAll(meminspect.Value(meminspect.IDDynamic, &v))
	meminspect.RegisterForeign(meminspect.IDDynamic, 0, 8) // want `the ID that RegisterForeign picks is not kept`
}

func keep(meminspect.ID, error) {}

var kept, _ = meminspect.Register(meminspect.IDDynamic, &v)

var _, _ = meminspect.Register(meminspect.IDDynamic, &v) // want `is not kept`
