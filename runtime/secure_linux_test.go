//go:build !meminspect_off

package meminspect

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// A program with more privileges than its user ignores its environment.
func TestSecure(t *testing.T) {
	vector := func(words ...uint64) (b []byte) {
		for _, w := range words {
			b = binary.NativeEndian.AppendUint64(b, w)
		}
		return b
	}
	for name, c := range map[string]struct {
		auxv []byte
		want bool
	}{
		"plain":         {vector(6, 4096, 23, 0, 0, 0), false},
		"secure":        {vector(6, 4096, 23, 1, 0, 0), true},
		"a value of 23": {vector(6, 23, 9, 23, 0, 0), false},
		"cut":           {vector(6, 4096, 23), false},
		"empty":         {nil, false},
	} {
		if got := secureVector(c.auxv); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if auxv, err := os.ReadFile("/proc/self/auxv"); err == nil && secureVector(auxv) {
		t.Error("this test is no set-user-ID program")
	}
}

// Only root has capabilities here, unless this test was given others.
func TestCapable(t *testing.T) {
	if status, err := os.ReadFile("/proc/self/status"); err != nil {
		t.Skip(err)
	} else if want := !bytes.Contains(status, []byte("CapPrm:\t0000000000000000")); capable() != want {
		t.Errorf("capable is %v, /proc reports %v", !want, want)
	}
}
