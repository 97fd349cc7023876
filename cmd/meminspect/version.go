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
			fmt.Fprint(cmd.OutOrStdout(), versionLine())
			return nil
		},
	}
}

// addVersion adds the flag --version, which prints what the command version prints.
func addVersion(root *cobra.Command) {
	root.Version = version.String()
	root.SetVersionTemplate(versionLine())
	root.Flags().Bool("version", false, "print the version of this tool and of the Go that built it")
}

func versionLine() string {
	return fmt.Sprintf("meminspect %s %s\n", version.String(), runtime.Version())
}
