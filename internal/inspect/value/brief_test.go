package value

import (
	"strings"
	"testing"
)

// A brief value does not have what is in the structs of a struct, but their state.
func TestBriefState(t *testing.T) {
	one := &Value{Shape: Literal, Type: "int32", Text: "1", Integer: true}
	v := &Value{Shape: Struct, Type: "main.queue", Fields: []Field{
		{"mu", &Value{Shape: Struct, Type: "sync.Mutex", Fields: []Field{{"state", one}}, State: []string{"locked", "1 waiter"}}},
		{"head", &Value{Shape: Struct, Type: "main.item", Fields: []Field{{"id", one}}}},
	}}
	if got, want := v.Brief().Line(), "main.queue{mu: /* locked, 1 waiter */, head: /* … */}"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// A brief struct does not look like a whole one.
func TestBriefFields(t *testing.T) {
	v := &Value{Shape: Struct, Type: "main.wide"}
	for _, name := range "abcdefghijklmno" {
		v.Fields = append(v.Fields, Field{string(name), &Value{Shape: Literal, Type: "bool", Text: "true"}})
	}
	if got, want := v.Brief().Line(), "l: true} /* 3 more fields */"; !strings.HasSuffix(got, want) {
		t.Errorf("%s does not end with %s", got, want)
	}
}
