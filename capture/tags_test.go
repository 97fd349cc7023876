package capture

import (
	"strings"
	"testing"
)

func TestParseTag(t *testing.T) {
	for _, c := range []struct{ text, key, value, err string }{
		{"zone=eu-1", "zone", "eu-1", ""},
		{"app.example.com/v=a=b", "app.example.com/v", "a=b", ""},
		{"empty=", "empty", "", ""},
		{"zone", "", "", "KEY=VALUE"},
		{"=x", "", "x", "a key has"},
		{"two words=x", "two words", "x", "a key has"},
		{strings.Repeat("k", 65) + "=x", strings.Repeat("k", 65), "x", "a key has"},
		{"k=" + strings.Repeat("v", 1025), "k", strings.Repeat("v", 1025), "at most 1024 bytes"},
		{"k=\xff", "k", "\xff", "UTF-8"},
	} {
		key, value, err := ParseTag(c.text)
		if key != c.key || value != c.value || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%.20q: %.20q, %.20q, %v", c.text, key, value, err)
		}
	}
}

// Too many tags are an error before the process is read.
func TestTooManyTags(t *testing.T) {
	tags := map[string]string{}
	for i := range maxTags + 1 {
		tags[strings.Repeat("k", 1+i%maxTagKey)+string(rune('a'+i/maxTagKey))] = ""
	}
	if _, err := Capture(t.Context(), -1, Options{Tags: tags}); err == nil || !strings.Contains(err.Error(), "tags: a core has at most 64") {
		t.Error(err)
	}
}
