package main

import "github.com/spf13/cobra"

// rootCommand returns the command tree; each subcommand has a file of its own.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "meminspect",
		Short: "Mark the variables that matter, and read them when the program is dead",
		Long: `meminspect turns //meminspect: comments on Go variables into a static table,
checks whole programs, captures the marked memory of a running, hanging or dying
process into a small core, and reads such cores. gdb and Delve open them too.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		annotationsTopic(),
		breakingCommand(),
		captureCommand(),
		doctorCommand(),
		filterCommand(),
		generateCommand(),
		goroutinesCommand(),
		idsCommand(),
		infoCommand(),
		kinfoCommand(),
		linkCommand(),
		lintCommand(),
		logCommand(),
		manCommand(),
		minidumpCommand(),
		printCommand(),
		pstoreCommand(),
		regionsCommand(),
		scanCommand(),
		versionCommand(),
	)
	root.AddCommand(supervising()...)
	strictHelp(root)
	explain(root)
	return root
}
