package main

import (
	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/expr"
)

// completePaths completes the arguments of a command that takes a core and paths.
func completePaths(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault // a file
	}
	core, err := readCore(cmd, args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer core.Close()
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer prog.Close()
	return expr.NewScope(prog).Complete(text), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
