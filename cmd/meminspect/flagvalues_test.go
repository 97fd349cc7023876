package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Numbers, sizes and durations are parsed by the types of this project in all
// commands: pflag's own accept other notations (no 30d) and have no bounds.
// heap --timeout, link --depth and print --depth once used them.
func TestFlagNotations(t *testing.T) {
	texts := []string{"bool", "string", "stringArray", "stringSlice"}
	kinds := map[string]int{}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			kind := f.Value.Type()
			kinds[kind]++
			if strings.HasPrefix(fmt.Sprintf("%T", f.Value), "*pflag.") && !slices.Contains(texts, kind) {
				t.Errorf("%s --%s is of the type %T: use number, bytesize.Value or duration.Value", cmd.CommandPath(), f.Name, f.Value)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand())
	for kind, least := range map[string]int{"bool": 50, "string": 30, "number": 10, "size": 10, "duration": 5} {
		if kinds[kind] < least {
			t.Errorf("%d flags of the type %s: there are more", kinds[kind], kind)
		}
	}
}
