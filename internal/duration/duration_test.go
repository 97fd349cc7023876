package duration

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "300ms": 300 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "10m": 10 * time.Minute,
		"1h30m": 90 * time.Minute, "720h": 30 * Day, "30d": 30 * Day, "1d12h": 36 * time.Hour, "0d5s": 5 * time.Second,
		"106751d": 106751 * Day,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "1.5d", "+1d", "-1s", "-1d", "1d-1s", "1d+1s", "1d1d", "1h1d", "s", "ten", "106752d", "106751d24h", "9999999999999999999d"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v", text, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + 5*time.Second: "1h0m5s",
		30 * Day: "30d", 36 * time.Hour: "1d12h", Day + time.Second: "1d1s", 100 * time.Millisecond: "100ms", 20 * time.Second: "20s",
	} {
		if got := Format(d); got != want {
			t.Errorf("Format(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestFormatIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(106751*Day)).Draw(t, "ns"))
		if rapid.Bool().Draw(t, "round") {
			d = d.Truncate(time.Minute)
		}
		if got, err := Parse(Format(d)); err != nil || got != d {
			t.Fatalf("%d is formatted as %s, which is parsed as %d, %v", d, Format(d), got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"1d12h", "0", "5", "106751d", "1h30m", "d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(Format(d)); d < 0 || err != nil || again != d {
			t.Fatalf("%q is %v, then %v, %v", text, d, again, err)
		}
	})
}

func TestSeconds(t *testing.T) {
	for d, want := range map[Seconds]string{
		0: `"0s"`, 1: `"0.000000001s"`, Seconds(1500 * time.Millisecond): `"1.5s"`, Seconds(-time.Minute): `"-60s"`, Seconds(30 * Day): `"2592000s"`,
		2866016575: `"2.866016575s"`, -3746290221: `"-3.746290221s"`, // as float64 they have more digits
	} {
		text, err := json.Marshal(d)
		if err != nil || string(text) != want {
			t.Errorf("%d is %s, %v, want %s", d, text, err, want)
		}
		var again Seconds
		if err := json.Unmarshal(text, &again); err != nil || again != d {
			t.Errorf("%s is %d, %v, want %d", text, again, err, d)
		}
	}
}
