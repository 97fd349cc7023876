package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meminspect/meminspect/runtime/monitor"
)

// The flags for capturing are the same in every command that captures, and in
// package monitor's options.
func TestCaptureFlags(t *testing.T) {
	var group cobra.Command
	new(captureFlags).add(&group)
	for _, cmd := range rootCommand().Commands() {
		if !slices.Contains([]string{"capture", "filter", "run", "core-handler", "watch"}, cmd.Name()) {
			continue
		}
		group.Flags().VisitAll(func(want *pflag.Flag) {
			got := cmd.Flags().Lookup(want.Name)
			if got == nil || got.Usage != want.Usage || got.DefValue != want.DefValue {
				t.Errorf("%s --%s is %+v, want %+v", cmd.Name(), want.Name, got, want)
			}
		})
	}
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(s, "s"), "-", "")) }
	options := map[string]bool{}
	fields := reflect.TypeFor[monitor.Capture]()
	for i := range fields.NumField() {
		options[plain(fields.Field(i).Name)] = true
	}
	group.Flags().VisitAll(func(f *pflag.Flag) {
		if !options[plain(f.Name)] {
			t.Errorf("monitor.Capture has no field for --%s", f.Name)
		}
		delete(options, plain(f.Name))
	})
	if len(options) > 0 {
		t.Errorf("monitor.Capture has fields without a flag: %v", options)
	}
}
