package lastend

import (
	"testing"
	"time"
)

func TestEncode(t *testing.T) {
	for _, e := range []End{
		{Reason: "panic", Crash: true, Time: time.Unix(1764434400, 7), Uptime: 3 * time.Second, InRow: 4, Bug: "m1-814fd6369992", Core: "/srv/a|b/x.core"},
		{Reason: "exit-0", Time: time.Unix(0, 0)},
	} {
		if got, ok := Parse(e.Encode()); !ok || got != e {
			t.Errorf("%+v, %v; want %+v", got, ok, e)
		}
	}
	odd := End{Reason: "a|b\x00", Time: time.Unix(0, 0), Core: "c\x00"}
	if got, ok := Parse(odd.Encode()); !ok || got.Reason != "a-b" || got.Core != "c" {
		t.Errorf("%+v, %v", got, ok)
	}
}

// Whatever the environment has, Parse returns an end that Encode writes, or
// none.
func FuzzParse(f *testing.F) {
	f.Add("1|panic|1|1|2|3|m1-1|/core")
	f.Add("2|panic|1|1|2|3|m1-1|/core")
	f.Add("1|panic|1|1|2|-3||")
	f.Fuzz(func(t *testing.T, value string) {
		e, ok := Parse(value)
		if !ok {
			return
		}
		if again, ok := Parse(e.Encode()); !ok || e.InRow < 0 || !again.Time.Equal(e.Time) || again.InRow != e.InRow {
			t.Errorf("%q: %+v, then %+v", value, e, again)
		}
	})
}
