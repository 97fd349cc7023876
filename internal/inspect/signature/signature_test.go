package signature

import (
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for function, want := range map[string]string{
		"main.main":                                "main.main",
		"main.run.func1":                           "main.run",
		"main.run.func1.2":                         "main.run",
		"main.run.gowrap1":                         "main.run",
		"main.run.deferwrap2":                      "main.run",
		"main.run.func1.gowrap2":                   "main.run",
		"main.main.run.func1":                      "main.run",
		"main.main.func1.run.func2":                "main.run",
		"main.run-range1":                          "main.run",
		"main.run.func2-range1":                    "main.run",
		"main.init.0":                              "main.init",
		"main.init.func1":                          "main.init",
		"main.glob..func1":                         "main.init",
		"main.(*Queue).Push":                       "main.(*Queue).Push",
		"main.(*Queue).Push-fm":                    "main.(*Queue).Push",
		"main.(*Queue).Push.func1":                 "main.(*Queue).Push",
		"main.main.(*Queue).Push.func1":            "main.(*Queue).Push",
		"main.(*Queue[...]).Push[...]":             "main.(*Queue).Push",
		"main.(*Queue[go.shape.*uint8]).Push":      "main.(*Queue).Push",
		"main.Map[go.shape.[]example.com/a.T]":     "main.Map",
		"main.Queue.Len":                           "main.Queue.Len",
		"main.func1":                               "main.func1",
		"example.com/shop/queue.Open":              "example.com/shop/queue.Open",
		"example.com/shop/v2/queue.Open":           "example.com/shop/queue.Open",
		"example.com/shop/v2.Open":                 "example.com/shop.Open",
		"gopkg.in/yaml%2ev3.Unmarshal":             "gopkg.in/yaml.Unmarshal",
		"example.com/app/vendor/example.com/b.Run": "example.com/b.Run",
		"v2.Run":  "v2.Run",
		"nothing": "nothing",
		"":        "",
	} {
		if got := Normalize(function); got != want {
			t.Errorf("%s: %s, want %s", function, got, want)
		}
	}
}

func TestOfCalls(t *testing.T) {
	one := OfCalls("panic", []string{"main.deliver", "main.work.func1", "main.work", "main.main"})
	if one.Title != "panic in main.deliver < main.work < main.main" || !strings.HasPrefix(one.ID, "m1-") || len(one.ID) != 15 {
		t.Errorf("%+v", one)
	}
	same := [][]string{
		{"main.deliver", "main.main.work.func2", "main.main"},
		{"main.deliver[...]", "main.deliver", "main.deliver.func1", "main.work", "main.main"},
	}
	for _, functions := range same {
		if got := OfCalls("panic", functions); got != one {
			t.Errorf("%v: %+v, want %+v", functions, got, one)
		}
	}
	others := []Signature{
		OfCalls("nil-dereference", []string{"main.deliver", "main.work", "main.main"}),
		OfCalls("panic", []string{"main.deliver", "main.main"}),
		OfCalls("panic", []string{"main.work", "main.deliver", "main.main"}),
		OfCalls("panic", nil), OfBlocked("panic", []string{"main.deliver", "main.work", "main.main"}),
	}
	seen := map[string]Signature{one.ID: one}
	for _, s := range others {
		if first, ok := seen[s.ID]; ok {
			t.Errorf("%q and %q have the ID %s", first.Title, s.Title, s.ID)
		}
		seen[s.ID] = s
	}
	deep := make([]string, 100)
	for i := range deep {
		deep[i] = "main." + strings.Repeat("f", i+1)
	}
	if a, b := OfCalls("panic", deep), OfCalls("panic", deep[:8]); a != b {
		t.Errorf("the outermost of many calls count: %+v, %+v", a, b)
	}
}

func TestOfBlocked(t *testing.T) {
	a := OfBlocked("hang", []string{"main.b", "main.a.func1", "main.b"})
	if b := OfBlocked("hang", []string{"main.a", "main.b"}); a != b || a.Title != "hang in main.a, main.b" {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestParse(t *testing.T) {
	s := OfCalls("panic", []string{"main.main"})
	if got, ok := Parse(s.String()); !ok || got != s {
		t.Errorf("%+v, %v, want %+v", got, ok, s)
	}
	for _, bad := range []string{"", "m1-0123", "m1-0123456789ab", "m1-0123456789ab a\nb", "x1-0123456789ab title", "m1-0123456789ab " + strings.Repeat("x", 5000)} {
		if s, ok := Parse(bad); ok {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

// FuzzNormalize: any name is normalized, and never becomes longer but for init.
func FuzzNormalize(f *testing.F) {
	f.Add("main.main.(*Queue[go.shape.int]).Push.func1.2")
	f.Add("example.com/v2/a%2ev3.glob..func1")
	f.Fuzz(func(t *testing.T, name string) {
		if once := Normalize(name); len(once) > len(name)+len("init") {
			t.Errorf("%q becomes %q", name, once)
		}
	})
}
