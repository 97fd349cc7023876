package bytesize

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The grammars that annotations, lists of variables and flags once had of their
// own differed in these: one took TiB, one B, none fractions or short units.
func TestParse(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "65536": 65536, "64KiB": 65536, "64k": 65536, "64K": 65536, "64kib": 65536,
		"1.5GiB": 3 << 29, "0.5k": 512, "1MiB": 1 << 20, "2m": 2 << 20, "2T": 2 << 40, "1TiB": 1 << 40,
		"4096B": 4096, "4096b": 4096, "1.0": 1, "007": 7,
		"8388607TiB": 8388607 << 40, "9223372036854775807": Max,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "not a size", "KiB": "not a size", "-1": "not a size", "+1": "not a size", "1e3": "not a size", "0x10": "not a size",
		"1_000": "not a size", "1/2": "not a size", ".5k": "not a size", "1.k": "not a size", "1.2.3": "not a size", " 1": "not a size",
		"1 KiB": "not a size", "1ki": "unknown unit", "1KK": "unknown unit", "1iB": "unknown unit iB", "16EiB": "unknown unit EiB",
		"64KB": "ambiguous: use KiB", "1gb": "ambiguous: use GiB",
		"0.1k": "whole number", "1.5": "whole number", "1.5B": "whole number",
		"8388608TiB": "too large", "9223372036854775808": "too large", strings.Repeat("9", 50): "not a size",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %d, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFormatIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, Max>>40).Draw(t, "n") << rapid.SampledFrom([]uint{0, 10, 20, 30, 40}).Draw(t, "shift")
		text := Format(n)
		if got, err := Parse(text); err != nil || got != n {
			t.Fatalf("%d is formatted as %s, which is parsed as %d, %v", n, text, got, err)
		}
		var v Value
		if err := v.Set(strings.ToLower(text)); err != nil || v.String() != text {
			t.Fatalf("flag %s is shown as %s, %v", text, v.String(), err)
		}
	})
}

// A size that is parsed is the same one when it is formatted and parsed again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"1.5GiB", "64k", "0", "64KB", "1.", "9223372036854775807", "0.0000000000001T"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			if n != 0 {
				t.Fatalf("%d with %v", n, err)
			}
			return
		}
		if again, err := Parse(Format(n)); n > Max || err != nil || again != n {
			t.Fatalf("%q is %d, then %d, %v", text, n, again, err)
		}
	})
}

func TestShort(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 18<<10 + 200: "18.2 KiB", 100 << 10: "100 KiB", 1<<20 - 1: "1024 KiB",
		1 << 20: "1.0 MiB", 3 << 30: "3.0 GiB", 2 << 40: "2.0 TiB", 1<<64 - 1: "16777216 TiB",
	} {
		if got := Short(n); got != want {
			t.Errorf("Short(%d) = %q, want %q", n, got, want)
		}
	}
}
