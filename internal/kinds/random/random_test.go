package random

import (
	"reflect"
	"testing"
)

// A seed gives one program and another seed another one; both can be written, and
// among a few there is one that excludes something.
func TestMake(t *testing.T) {
	secrets := 0
	for seed := range uint64(10) {
		p := Make(seed)
		if !reflect.DeepEqual(p, Make(seed)) {
			t.Errorf("seed %d gives two programs", seed)
		}
		if reflect.DeepEqual(p.Vars, Make(seed+1).Vars) {
			t.Errorf("seeds %d and %d give the same variables", seed, seed+1)
		}
		if err := p.Write(t.TempDir()); err != nil {
			t.Error(err)
		}
		secrets += p.Secrets
	}
	if secrets == 0 {
		t.Error("no program has a secret")
	}
}
