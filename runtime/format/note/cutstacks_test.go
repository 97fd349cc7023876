package note

import (
	"reflect"
	"testing"
)

func TestCutStacks(t *testing.T) {
	want := []CutStack{{Goroutine: 7, SP: 0xc0000fff80, PC: 0x47a5d1, Calls: 1 << 33}, {Goroutine: 8}}
	got, err := DecodeCutStacks(EncodeCutStacks(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := DecodeCutStacks(EncodeCutStacks(want)[:40]); err == nil {
		t.Errorf("half of the table: %+v", got)
	}
}
