//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/corefile/store"
)

// A rate's text can be parsed again.
func TestRate(t *testing.T) {
	for text, want := range map[string]store.Limit{
		"3/10m": {Count: 3, Per: 10 * time.Minute}, "20/1h": {Count: 20, Per: time.Hour}, "1/10s": {Count: 1, Per: 10 * time.Second},
		"2/1h30m": {Count: 2, Per: 90 * time.Minute}, "5/100ms": {Count: 5, Per: 100 * time.Millisecond}, "4/30d": {Count: 4, Per: 30 * 24 * time.Hour}, "7/1h0m5s": {Count: 7, Per: time.Hour + 5*time.Second}, "0": {},
	} {
		var l store.Limit
		f := rate{&l}
		if err := f.Set(text); err != nil || l != want || f.String() != text {
			t.Errorf("%s: %v, %+v, shown as %s", text, err, l, f.String())
		}
	}
	for _, bad := range []string{"", "3", "3/", "/10m", "-1/10m", "3/-10m", "3/ten"} {
		if err := (rate{&store.Limit{}}).Set(bad); err == nil {
			t.Errorf("%q is accepted as a rate", bad)
		}
	}
}
