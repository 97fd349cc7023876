package value

import (
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
)

// timer remarks when a time.Timer or a time.Ticker fires next, as of the capture.
func (r *reader) timer(v *Value, t *gotypes.Type, addr memory.Address) {
	if r.marking {
		return
	}
	record, missing, ok := r.timerRecord(t, addr)
	switch {
	case missing != "":
		v.State = append(v.State, "when it fires: "+string(missing))
	case ok:
		v.State = append(v.State, r.timerText(record))
	}
}

// timerRecord returns what the runtime records of a timer, or why that is not known. ok is
// false if the runtime did not make the timer.
func (r *reader) timerRecord(t *gotypes.Type, addr memory.Address) (record goobject.Timer, missing inspect.Missing, ok bool) {
	init, ok := goobject.IsTimer(t)
	if !ok {
		return r.oldTimer(t, addr)
	}
	offset, ok := goobject.TimerOffset(r.p.Version())
	made, there := r.fetch(addr.Add(init.Offset), 1)
	if !ok || !there || made[0] != 1 {
		return record, "", false
	}
	at := addr.Add(offset)
	b, there := r.fetch(at, goobject.TimerSize)
	if !there {
		return record, r.p.Why(memory.RangeOf(at, goobject.TimerSize)), false
	}
	record, err := goobject.DecodeTimer(b)
	return record, "", err == nil && r.callsTimer(record.Func)
}

// callsTimer reports whether a function value is one that package time gives to the
// runtime: what follows a copy of a timer is something else.
func (r *reader) callsTimer(f memory.Address) bool {
	b, ok := r.fetch(f, memory.PtrSize)
	if !ok {
		return false
	}
	switch r.p.FuncName(goobject.FuncEntry(b)) {
	case "time.sendTime", "time.goFunc":
		return true
	}
	return false
}

// States of a timer before Go 1.23, see runtime/time.go.
const (
	timerNoStatus = iota
	timerWaiting
	timerRunning
	timerDeleted
	timerRemoving
	timerRemoved
	timerModifying
	timerModifiedEarlier
	timerModifiedLater
)

// oldTimer is timerRecord before Go 1.23, when a timer has the record in a field.
func (r *reader) oldTimer(t *gotypes.Type, addr memory.Address) (record goobject.Timer, missing inspect.Missing, ok bool) {
	when, known1, ok1 := r.word(t, addr, "r.when")
	next, known2, ok2 := r.word(t, addr, "r.nextwhen")
	period, known3, ok3 := r.word(t, addr, "r.period")
	status, known4, ok4 := r.word(t, addr, "r.status")
	f, known5, ok5 := r.word(t, addr, "r.f")
	if !known1 || !known2 || !known3 || !known4 || !known5 || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || f == 0 {
		return record, "", false
	}
	switch status {
	case timerNoStatus, timerDeleted, timerRemoving, timerRemoved:
		when = 0
	case timerModifiedEarlier, timerModifiedLater:
		when = next
	}
	record = goobject.Timer{When: int64(when), Period: int64(period)}
	return record, "", record.When >= 0 && record.Period >= 0
}

// timerText describes a timer.
func (r *reader) timerText(t goobject.Timer) string {
	switch {
	case t.When == 0 && t.Period > 0:
		return "stopped; was every " + time.Duration(t.Period).String()
	case t.When == 0:
		return "stopped or fired"
	}
	text := "running"
	if c := r.p.Core.Capture; c != nil && c.Clock > 0 {
		if left := time.Duration(t.When - c.Clock); left >= 0 {
			text = "fires in " + rounded(left)
		} else {
			text = "was due " + rounded(-left) + " before"
		}
	}
	if t.Period > 0 {
		text += ", every " + time.Duration(t.Period).String()
	}
	return text
}

// rounded returns a duration without its last digits.
func rounded(d time.Duration) string {
	if d >= time.Second {
		return d.Truncate(time.Millisecond).String()
	}
	return d.Truncate(time.Microsecond).String()
}
