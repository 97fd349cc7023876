package deliver

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"cat":                          {"cat"},
		" aws  s3\tcp - {name} ":       {"aws", "s3", "cp", "-", "{name}"},
		`sh -c 'cat >"$A"; x'`:         {"sh", "-c", `cat >"$A"; x`},
		`a "b c"d 'e'"f" ''`:           {"a", "b cd", "ef", ""},
		`a\ b "\"\\\n" '\n' \$x \'`:    {"a b", `"\\n`, `\n`, "$x", "'"},
		`curl -T - "https://é/{name}"`: {"curl", "-T", "-", "https://é/{name}"},
	} {
		if got, err := Words(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"": "no command", "  ": "no command", `'a`: "not closed", `"a`: "not closed", `a\`: "backslash",
		"cat > x": "'>' is for a shell", "a; b": "';'", "a | b": "'|'", "a $(b)": "'$'", `a "$b"`: "'$'", "a `b`": "'`'", "a *.go": "'*'", "a\nb": `'\n'`, "a ~/x": "'~'",
	} {
		if got, err := Words(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

// Words that are quoted come back.
func FuzzWords(f *testing.F) {
	f.Add("a b", "c'd")
	f.Add("", "\\\"$")
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ToValidUTF8(a+b, "") != a+b {
			return
		}
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := Words(quote(a) + " " + quote(b))
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q %q: %q, %v", a, b, got, err)
		}
	})
}
