//go:build linux

package main

import (
	"slices"
	"testing"
)

// Hidden settings are restored unchanged, and no other variable is changed.
func TestHideSettings(t *testing.T) {
	env := []string{"PATH=/bin", "GOGC=off", "GODEBUG=gctrace=1,x=2", "GOGCX=1", "GOMEMLIMIT=", "odd", "MEMINSPECT_KEPT_OTHER=1"}
	hidden, found := hideSettings(env)
	want := []string{"PATH=/bin", "MEMINSPECT_KEPT_GOGC=off", "MEMINSPECT_KEPT_GODEBUG=gctrace=1,x=2", "GOGCX=1", "MEMINSPECT_KEPT_GOMEMLIMIT=", "odd", "MEMINSPECT_KEPT_OTHER=1"}
	if !found || !slices.Equal(hidden, want) {
		t.Errorf("%v: %q", found, hidden)
	}
	if got := restoreSettings(hidden); !slices.Equal(got, env) {
		t.Errorf("came back as %q", got)
	}
	if _, found := hideSettings(hidden); found {
		t.Error("the process would execute itself forever")
	}
}
