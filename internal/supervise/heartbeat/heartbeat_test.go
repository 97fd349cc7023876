package heartbeat

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/gocore/tables"
)

const tick = 100 * time.Millisecond

func beat(count uint64) []tables.Heartbeat {
	return []tables.Heartbeat{{Addr: 8, Name: "queue", Limit: time.Second, Count: count, Running: true}}
}

func TestMissedAndRecovered(t *testing.T) {
	j := Judge{Tick: tick}
	var now time.Duration
	look := func(count uint64) []Verdict { now += tick; return j.Look(now, false, beat(count)) }
	for i := range 50 {
		if v := look(uint64(i)); v != nil {
			t.Fatal(v)
		}
	}
	missed := 0
	for range 30 {
		for _, v := range look(49) {
			if v.Recovered || v.Name != "queue" || v.Silent <= time.Second || v.Silent > time.Second+2*tick {
				t.Errorf("%+v", v)
			}
			missed++
		}
	}
	if missed != 1 {
		t.Errorf("reported %d times", missed)
	}
	if v := look(50); len(v) != 1 || !v[0].Recovered || v[0].Silent < 2*time.Second {
		t.Errorf("%+v", v)
	}
	if v := look(51); v != nil {
		t.Error(v)
	}
}

// A clock that jumps, a suspended host, a stopped program and a stopped
// heartbeat do not count as hangs.
func TestNoHang(t *testing.T) {
	for name, look := range map[string]func(j *Judge, i int) []Verdict{
		"late":    func(j *Judge, i int) []Verdict { return j.Look(time.Duration(i)*time.Hour, false, beat(1)) },
		"back":    func(j *Judge, i int) []Verdict { return j.Look(-time.Duration(i)*tick, false, beat(1)) },
		"stopped": func(j *Judge, i int) []Verdict { return j.Look(time.Duration(i)*tick, true, beat(1)) },
		"over": func(j *Judge, i int) []Verdict {
			b := beat(1)
			b[0].Running = false
			return j.Look(time.Duration(i)*tick, false, b)
		},
	} {
		j := &Judge{Tick: tick}
		for i := range 9 {
			if v := look(j, i); v != nil {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

// For any samples: a miss comes only after more than the limit of timely
// samples without a beat, a recovery only after a miss, and the two alternate.
func TestVerdicts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := Judge{Tick: tick}
		var now, most time.Duration
		var count uint64
		missed := false
		for range rapid.IntRange(1, 100).Draw(t, "looks") {
			step := rapid.SampledFrom([]time.Duration{0, tick, tick, 2 * tick, time.Hour, -time.Minute}).Draw(t, "step")
			now += step
			if rapid.IntRange(0, 9).Draw(t, "beats") == 0 {
				count++
				most = 0
			} else {
				most += 2 * tick
			}
			for _, v := range j.Look(now, false, beat(count)) {
				if v.Recovered != missed {
					t.Fatalf("%+v while missed is %v", v, missed)
				}
				if missed = !v.Recovered; missed && most <= v.Limit {
					t.Fatalf("missed after at most %v", most)
				}
			}
		}
	})
}

// A sample comes several times within the shortest limit, and not more often than
// needed.
func TestWait(t *testing.T) {
	beat := func(limit time.Duration, running bool) tables.Heartbeat {
		return tables.Heartbeat{Limit: limit, Running: running}
	}
	for want, beats := range map[time.Duration][]tables.Heartbeat{
		time.Second:            nil,
		time.Second + 1:        {beat(0, true), beat(time.Hour, true), beat(time.Millisecond, false)},
		400 * time.Millisecond: {beat(time.Hour, true), beat(4*time.Second, true), beat(5*time.Second, true)},
		50 * time.Millisecond:  {beat(time.Nanosecond, true)},
	} {
		most := max(want, time.Second)
		if got := Wait(beats, most); got != want {
			t.Errorf("%+v: %v, want %v", beats, got, want)
		}
	}
}
