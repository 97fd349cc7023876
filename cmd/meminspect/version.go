package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/version"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this tool and of the Go that built it",
		Example: "  meminspect version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), "meminspect version", builtFrom())
			return nil
		},
	}
}

// addVersion adds the flag --version, which prints what the command version prints.
// The form is cobra's own: with a template, the linker could not omit any method.
func addVersion(root *cobra.Command) {
	root.Version = builtFrom()
	root.Flags().Bool("version", false, "print the version of this tool and of the Go that built it")
}

func builtFrom() string { return version.String() + " " + runtime.Version() }
