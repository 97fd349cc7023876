package own

import "github.com/meminspect/meminspect/runtime"

// want +1 `forgotten is declared, but nothing registers it: call meminspect.Register\(idForgotten, …\), or retire the ID`
//meminspect:id forgotten

// want +1 `compared is declared, but nothing registers it`
//meminspect:id compared

//meminspect:id registered

//meminspect:id passed

//meminspect:id Exported

//nolint:meminspect
//meminspect:id suppressed

//meminspect:entry
var entry int

func register(id meminspect.ID) error {
	if id == idCompared {
		return meminspect.Unregister(idCompared)
	}
	switch id {
	case idCompared:
	}
	_ = idCompared
	_, err := meminspect.Register(idRegistered, &entry)
	later(idPassed)
	return err
}

func later(meminspect.ID) {}
