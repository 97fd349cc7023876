//go:build linux

package supervise

import (
	"slices"
	"testing"
)

// What is hidden comes back as it was, and nothing else is touched.
func TestRename(t *testing.T) {
	env := []string{"PATH=/bin", "GOGC=off", "GODEBUG=gctrace=1,x=2", "GOGCX=1", "GOMEMLIMIT=", "odd", "MEMINSPECT_KEPT_OTHER=1"}
	renamed, found := rename(env)
	want := []string{"PATH=/bin", "MEMINSPECT_KEPT_GOGC=off", "MEMINSPECT_KEPT_GODEBUG=gctrace=1,x=2", "GOGCX=1", "MEMINSPECT_KEPT_GOMEMLIMIT=", "odd", "MEMINSPECT_KEPT_OTHER=1"}
	if !found || !slices.Equal(renamed, want) {
		t.Errorf("%v: %q", found, renamed)
	}
	if got := restore(renamed); !slices.Equal(got, env) {
		t.Errorf("came back as %q", got)
	}
	if _, found := rename(renamed); found {
		t.Error("it would begin anew for ever")
	}
}
