package page

import (
	"encoding/json"
	"testing"
)

// Characters that change the order of text are shown, not obeyed.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"gnp.exe":             "gnp.exe",
		"a\u202egnp.exe":      `a\u202egnp.exe`,
		"\u0085\u2066ü\u200f": `\u0085\u2066ü\u200f`,
		`back\slash "quote`:   `back\slash "quote`,
	} {
		data, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(visible(data), &got); err != nil || got != want {
			t.Errorf("%q shows as %q, not %q (%v)", text, got, want, err)
		}
	}
}
