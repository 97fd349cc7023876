package nearest

import "testing"

func TestWord(t *testing.T) {
	words := []string{"User", "Orders", "ID", "sessions"}
	for word, want := range map[string]string{
		"Usr": "User", "user": "User", "Ordres": "Orders", "sesions": "sessions", "IDs": "", "I": "", "key": "", "": "",
	} {
		if got, ok := Word(word, words); got != want || ok != (want != "") {
			t.Errorf("%q is near %q, want %q", word, got, want)
		}
	}
}
