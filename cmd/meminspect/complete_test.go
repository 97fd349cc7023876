package main

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meminspect/meminspect/internal/await"
)

// The shell completes the words of each flag that takes one of a few.
func TestChoicesComplete(t *testing.T) {
	flags := 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			c, ok := flag.Value.(*choice)
			if !ok {
				return
			}
			flags++
			var out, stderr bytes.Buffer
			line := append([]string{"__complete"}, strings.Fields(cmd.CommandPath())[1:]...)
			status := run(t.Context(), append(line, "--"+flag.Name, ""), nil, &out, &stderr)
			got := strings.Fields(out.String())
			if status != exitDone || !slices.Equal(got[:len(got)-1], c.words) || got[len(got)-1] != ":4" {
				t.Errorf("%s --%s: %q, want %q: %s", cmd.CommandPath(), flag.Name, got, c.words, &stderr)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand())
	if flags < 10 {
		t.Errorf("%d flags", flags)
	}
}

// A command that has ended is garbage: the shell runs any number of them.
func TestCommandsAreFreed(t *testing.T) {
	freed := make(chan struct{})
	func() {
		cmd, _, err := commandFor([]string{"log"}).Find([]string{"log"})
		if err != nil {
			t.Fatal(err)
		}
		flag := cmd.Flags().Lookup("level") // the shell can complete it
		runtime.AddCleanup(flag, func(freed chan struct{}) { close(freed) }, freed)
	}()
	await.True(t, "the commands to be collected", func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
}
