package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/runtime/format/nameid"
)

const space = "example.com/shop"

func line(name, rest string) string {
	return fmt.Sprintf("%016x %s %s\n", nameid.Of(space, name), name, rest)
}

func file(rows ...string) string {
	return header + "\nnamespace " + space + "\n" + strings.Join(rows, "")
}

func TestParseErrors(t *testing.T) {
	other := fmt.Sprintf("%016x", nameid.Of(space, "other"))
	for _, test := range []struct{ name, text, want string }{
		{"no header", "namespace x\n", `line 1: a ledger begins with "meminspect 1"`},
		{"empty", "", `line 1: a ledger begins with "meminspect 1"`},
		{"newer", "meminspect 2\n", `line 1: "meminspect 2": this tool reads version 1 alone; update it`},
		{"short ID", file("12 a id\n"), `line 3: "12 a id": an ID has 16 hexadecimal digits`},
		{"no state", file(other + " a\n"), `line 3: "` + other + ` a": want an ID, a name and a state`},
		{"bad state", file(line("a", "dead")), `the state "dead" is not entry, id or gone`},
		{"junk", file(line("a", "gone int")), `unexpected text after the state`},
		{"was itself", file(line("a", "entry was=a int")), `was= has another name`},
		{"edited ID", file(other + " a entry int\n"), `the ID is not that of a in the namespace example.com/shop: was it edited?`},
		{"edited namespace", "meminspect 1\nnamespace moved\n" + line("a", "id"), `was it edited?`},
		{"merge conflict", file("<<<<<<< HEAD\n", line("a", "id"), "=======\n", ">>>>>>> b\n"), `line 3: "<<<<<<< HEAD": a merge conflict`},
		{"two namespaces", "meminspect 1\nnamespace a\nnamespace b\n", `line 3: the lines contradict each other: "namespace a" and "namespace b"`},
		{"retired and alive", file(line("a", "entry int"), line("a", "gone")),
			`line 4: the lines contradict each other: "` + strings.TrimSpace(line("a", "entry int")) + `" on line 3 and "` + strings.TrimSpace(line("a", "gone")) + `": delete the one that is wrong`},
		{"renamed twice", file(fmt.Sprintf("%s b entry was=other int\n", other), fmt.Sprintf("%s c entry was=other int\n", other)), `" on line 3 and "`},
		{"one name for two", file(line("b", "entry int"), fmt.Sprintf("%s b entry was=other int\n", other)), `the lines contradict each other: "`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := Parse([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if l != nil {
				t.Error("a ledger and an error")
			}
		})
	}
}

// Additions of two branches are merged, without duplicates.
func TestUnionMerge(t *testing.T) {
	merged := "meminspect 1\nnamespace example.com/shop\n# note\nmeminspect 1\nnamespace example.com/shop\n" +
		line("z", "entry int") + line("a", "id") + line("z", "entry int") + line("m", "entry int") + line("m", "entry string")
	l, err := Parse([]byte(merged))
	if err != nil {
		t.Fatal(err)
	}
	want := "# The IDs of this folder's annotations. Check this file in; meminspect generate keeps it.\n" +
		file(line("a", "id"), line("m", "entry ?"), line("z", "entry int"))
	if got := string(l.Format()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A ledger that went through any life can be written and read back, no ID is
// ever issued twice, and none is lost.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Ledger{Namespaces: []string{space, space + TestSuffix}}
		issued := map[uint64]string{} // every ID ever, to its origin
		names := rapid.SampledFrom([]string{"a", "b", "c", "d", "e.f[1]"})
		spaces := rapid.SampledFrom(l.Namespaces)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			ns, name := spaces.Draw(t, "namespace"), names.Draw(t, "name")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				row, err := l.Issue(ns, name, Entry, "map[string]int")
				var taken *TakenError
				if err != nil && !errors.As(err, &taken) {
					t.Fatal(err)
				}
				if err == nil {
					if before, again := issued[row.ID]; again {
						t.Fatalf("%016x of %s is issued again for %s", row.ID, before, name)
					}
					issued[row.ID] = name
				}
			case 1:
				if row := l.Find(ns, name); row != nil && row.State != Gone {
					_ = l.Rename(row, names.Draw(t, "new"))
				}
			case 2:
				if row := l.Find(ns, name); row != nil {
					l.Retire(row)
				}
			}
		}
		for id := range issued {
			if l.ByID(id) == nil {
				t.Fatalf("%016x is lost", id)
			}
		}
		again, err := Parse(l.Format())
		if err != nil {
			t.Fatalf("%v in\n%s", err, l.Format())
		}
		if !bytes.Equal(again.Format(), l.Format()) {
			t.Fatalf("read back as\n%s\nfrom\n%s", again.Format(), l.Format())
		}
	})
}

// Parse never panics; a ledger without an error reads back as itself, and an
// error comes without a ledger and names a line of the file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(file(line("a", "entry int"), line("b", "gone"), line("c", "id"))))
	f.Add([]byte("meminspect 1\nnamespace a\nnamespace a_test\n"))
	f.Add([]byte(file(line("a", "entry was=b int"))))
	f.Add([]byte("<<<<<<<\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err != nil {
			if l != nil {
				t.Fatal("a ledger and an error")
			}
			var line *LineError
			if !errors.As(err, &line) || line.Line < 1 || line.Line > bytes.Count(data, []byte("\n"))+1 {
				t.Fatalf("no line of the file in %v", err)
			}
			return
		}
		text := l.Format()
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if !bytes.Equal(again.Format(), text) {
			t.Fatalf("not stable:\n%s\n%s", text, again.Format())
		}
	})
}
