package store

import "testing"

//meminspect:entry
var calls int

func TestDescribe(t *testing.T) {
	calls++
	if got := Describe(); got == "" {
		t.Error(idCalls, "nothing")
	}
}
