package corefile

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestName(t *testing.T) {
	for _, c := range []struct{ program, reason, want string }{
		{"shop", "panic", "shop.12.20261120T120000.000Z.panic.core"},
		{"/usr/bin/shop", "fatal-error", "shop.12.20261120T120000.000Z.fatal-error.core"},
		{"my prog v1.2", "order lost!", "my-prog-v1-2.12.20261120T120000.000Z.order-lost.core"},
		{"a--b..c", "--", "a-b-c.12.20261120T120000.000Z.unnamed.core"},
		{"/", "", "unnamed.12.20261120T120000.000Z.unnamed.core"},
		{"日本", "ñandú", "unnamed.12.20261120T120000.000Z.and.core"},
		{strings.Repeat("x", 63) + " y", "r", strings.Repeat("x", 63) + ".12.20261120T120000.000Z.r.core"},
	} {
		if got := Name(c.program, 12, noon, c.reason); got != c.want {
			t.Errorf("Name(%q, %q) = %s, want %s", c.program, c.reason, got, c.want)
		}
	}
}

// Every name is recognized, in each form and numbered, and fits into a file
// name with room for a partial file's marks.
func TestNameProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := Name(rapid.String().Draw(t, "program"), rapid.IntRange(0, 1<<22).Draw(t, "pid"),
			time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "ms")), rapid.String().Draw(t, "reason"))
		title, ok := ParseName(name)
		if !ok || Name(title.Program, title.PID, title.When, title.Reason) != name {
			t.Fatalf("%q is read as %+v, %v", name, title, ok)
		}
		for _, suffix := range []string{"", ".zst", ".age", ".zst.age"} {
			for _, n := range []string{name + suffix, Numbered(name+suffix, 3)} {
				if !IsName(n) || len(n) > 200 || strings.ContainsAny(n, "/ \x00") || n[0] == '-' || n[0] == '.' {
					t.Fatalf("%q, recognized %v", n, IsName(n))
				}
			}
		}
	})
}

func TestIsName(t *testing.T) {
	for _, other := range []string{"", "core", "a.core", "somebody.else.core", "core.12", "a.1.2026.000Z.panic.core", "a.x.20261120T120000.000Z.panic.core", "a.-1.20261120T120000.000Z.panic.core", "a.1.20261120T120000.000Z.panic.txt"} {
		if IsName(other) {
			t.Errorf("%q is recognized as a core's name", other)
		}
	}
}
