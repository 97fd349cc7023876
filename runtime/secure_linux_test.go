//go:build !meminspect_off

package meminspect

import (
	"encoding/binary"
	"io/fs"
	"os"
	"testing"
)

// Rights that the user does not have make a program distrust its environment; so
// does a vector that it may not read.
func TestSecure(t *testing.T) {
	vector := func(words ...uint64) (b []byte) {
		for _, w := range words {
			b = binary.NativeEndian.AppendUint64(b, w)
		}
		return b
	}
	for name, c := range map[string]struct {
		auxv []byte
		err  error
		want bool
	}{
		"plain":         {vector(6, 4096, 23, 0, 0, 0), nil, false},
		"secure":        {vector(6, 4096, 23, 1, 0, 0), nil, true},
		"a value of 23": {vector(6, 23, 9, 23, 0, 0), nil, false},
		"cut":           {vector(6, 4096, 23), nil, false},
		"forbidden":     {nil, fs.ErrPermission, true},
		"without /proc": {nil, fs.ErrNotExist, false},
	} {
		if got := secureVector(c.auxv, c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if auxv, err := os.ReadFile("/proc/self/auxv"); err == nil && secureVector(auxv, nil) {
		t.Error("this test is no set-user-ID program")
	}
}
