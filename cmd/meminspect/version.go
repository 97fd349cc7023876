package main

import (
	"fmt"
	"runtime/debug"

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
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("version: this binary carries no build information; build it with module support")
			}
			fmt.Fprintf(cmd.OutOrStdout(), "meminspect %s %s\n", version.String(), info.GoVersion)
			return nil
		},
	}
}
