package goobject

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// What the runtime records of a timer.
const (
	TimerSize = 24
	TimerFunc = 16 // the offset of the function that it calls
)

// TimerOffset returns where the runtime's record of a timer is, in bytes from the
// time.Timer or time.Ticker that it allocated. Before Go 1.23 these have the record in a
// field: ok is false.
func TimerOffset(v module.Version) (offset uint64, ok bool) {
	switch {
	case v.Minor >= 25:
		return 40, true
	case v.Minor >= 23:
		return 32, true
	}
	return 0, false
}

// IsTimer reports whether t is time.Timer or time.Ticker. Since Go 1.23 it is the first
// part of an object that the runtime allocates, if the field init is not zero.
func IsTimer(t *gotypes.Type) (init gotypes.Field, ok bool) {
	if t.Kind != gotypes.Struct || t.PkgPath != "time" {
		return init, false
	}
	name := map[string]string{"Timer": "initTimer", "Ticker": "initTicker"}[t.Name()]
	if name == "" {
		return init, false
	}
	init, ok = t.Field(name)
	return init, ok && init.Offset == memory.PtrSize && t.Size == 2*memory.PtrSize
}

// A Timer is what the runtime records of a timer. Its times are those of the runtime's
// clock, in nanoseconds.
type Timer struct {
	When   int64          // 0 if it was stopped or has fired
	Period int64          // 0 if it fires once
	Func   memory.Address // the function value that it calls
}

// DecodeTimer decodes a record of TimerSize bytes.
func DecodeTimer(b []byte) (Timer, error) {
	t := Timer{int64(le.Uint64(b)), int64(le.Uint64(b[8:])), Pointer(b[TimerFunc:])}
	if t.When < 0 || t.Period < 0 || t.Func == 0 || t.Func >= AddressSpace {
		return t, inconsistent("a timer at %d, each %d", t.When, t.Period)
	}
	return t, nil
}
