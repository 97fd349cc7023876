package main

import "testing"

func TestNormal(t *testing.T) {
	for _, c := range []struct{ kind, printed, want string }{
		{"uint8", "65 'A'", "65"},
		{"int", "-7", "-7"},
		{"bool", "true", "true"},
		{"float32", "0.189999998", "0.19"},
		{"float64", "412.5", "412.5"},
		{"uint8", "github.com/x/orders.Packed (1)", "1"},
		{"int64", "time.Duration(5000000000) 5s", "time.Duration(5000000000) 5s"},
		{"int", `No symbol "x" in current context.`, `No symbol "x" in current context.`},
		{"int", "Command failed: could not find symbol value for x", "Command failed: could not find symbol value for x"},
		{"float64", "nonsense", "nonsense"},
	} {
		if got := normal(c.kind, c.printed); got != c.want {
			t.Errorf("normal(%q, %q) = %q, want %q", c.kind, c.printed, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	if got := gdbName("a.b/c", "queue.head"); got != "'a.b/c.queue'.head" {
		t.Errorf("gdbName: %s", got)
	}
	if got := delveName("a.b/c", "queue.head"); got != `"a.b/c".queue.head` {
		t.Errorf("delveName: %s", got)
	}
	if got := delveName("main", "served"); got != "main.served" {
		t.Errorf("delveName: %s", got)
	}
}
