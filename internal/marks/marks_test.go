package marks

import (
	"slices"
	"testing"
)

// Marks are found in every form, in both directions, and differ.
func TestFind(t *testing.T) {
	mark := Of("one")
	for _, form := range Forms {
		for _, backwards := range []bool{false, true} {
			text, want := form.Write(mark), form.Name
			if backwards {
				slices.Reverse(text)
				want += ", reversed"
			}
			data := slices.Concat([]byte("before"), text, []byte("after"))
			if got := Find(data, mark); got != want {
				t.Errorf("%s is found as %q", want, got)
			}
			if got := Find(data, Of("two")); got != "" {
				t.Errorf("another mark is found as %q", got)
			}
			if got := Find(data[:len(data)-len("after")-1], mark); got != "" {
				t.Errorf("a part of %s is found as %q", want, got)
			}
		}
	}
}
