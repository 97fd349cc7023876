package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
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
			version := info.Main.Version
			if version == "" {
				version = "(devel)"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "meminspect %s %s\n", version, info.GoVersion)
			return nil
		},
	}
}
