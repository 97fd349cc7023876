package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/note"
)

// Only exclusions without a value are counted as such. Receipts of every other reason are
// printed with their text, also those without bytes.
func TestPrintReceipts(t *testing.T) {
	reasons := 0
	for reason := note.ReasonExcluded; !strings.HasPrefix(reason.String(), "reason "); reason++ {
		reasons++
		for _, test := range []struct {
			size  uint64
			empty bool // the core
		}{{0, false}, {16, false}, {0, true}} {
			size := test.size
			var out strings.Builder
			printReceipts([]receiptJSON{{reason.String(), size, 1, "the rule"}}, test.empty, func(name, format string, args ...any) {
				fmt.Fprintf(&out, name+": "+format+"\n", args...)
			})
			want := fmt.Sprintf("left out: %d bytes in one place, %v: the rule\n", size, reason)
			switch {
			case size == 0 && reason == note.ReasonExcluded:
				want = "left out: nothing by 1 exclusion, of which the core has no value\n"
			case test.empty && reason == note.ReasonUnreadable:
				want = "left out: all memory: the rule\n"
			case size == 0:
				want = fmt.Sprintf("left out: %v: the rule\n", reason)
			}
			if out.String() != want {
				t.Errorf("%v, %+v: %q, want %q", reason, test, out.String(), want)
			}
		}
	}
	if reasons != 7 {
		t.Errorf("%d reasons, want 7", reasons)
	}
}
