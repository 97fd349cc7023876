package main

import (
	"context"

	"github.com/spf13/cobra"
)

// The groups of commands in help.
const (
	groupAnnotate = "annotate"
	groupCapture  = "capture"
	groupRead     = "read"
	groupFormats  = "formats"
)

// rootCommand returns the command tree; each subcommand has a file of its own.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "meminspect",
		Short: "Capture and read annotated variables of Go programs",
		Long: `meminspect turns //meminspect: comments on Go variables into a static table and
checks whole programs. It captures the annotated memory of a running, hanging or
dying process into a small core, and reads cores. gdb and Delve open them too.

"meminspect CORE" prints the report of a core: why the program ended, and where.`,
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: cancelAtSignals,
	}
	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
			if id == groupRead {
				addDir(c)
				if c.Name() != "rm" { // which opens none
					addOpenFlags(c)
				}
				if readsCore(c) {
					addStop(c)
					c.Long += "\n\n" + coreHelp
				}
			}
			if id == groupRead || id == groupFormats {
				endAtSignals(c)
			}
		}
		root.AddCommand(commands...)
	}
	group(groupAnnotate, "Annotate:", initCommand(), suggestCommand(), generateCommand(), idsCommand(), breakingCommand(), lintCommand(), linkCommand())
	group(groupCapture, "Capture:", append(supervising(), captureCommand(), filterCommand(), doctorCommand())...)
	group(groupRead, "Read:", reportCommand(), listCommand(), rmCommand(), infoCommand(), regionsCommand(), printCommand(), findCommand(), diffCommand(), goroutinesCommand(), waitsCommand(), logCommand(), heapCommand(), scanCommand(), debugCommand(), shellCommand(), viewCommand())
	group(groupFormats, "Formats:", minidumpCommand(), kinfoCommand(), pstoreCommand())
	root.AddCommand(annotationsTopic(), copyCommand(), manCommand(), versionCommand())
	strictHelp(root)
	explain(root)
	return root
}

// cancelAtSignals has SIGINT and SIGTERM cancel the context of a command, which
// has something to finish.
func cancelAtSignals(cmd *cobra.Command, _ []string) error {
	parent := cmd.Context()
	ctx, stop := untilSignal(parent)
	context.AfterFunc(parent, stop)
	cmd.SetContext(ctx)
	return nil
}

// endAtSignals lets SIGINT and SIGTERM end a command at once, as they do by
// default: it has nothing to finish. The kernel releases a process that it had
// stopped. The signals are never caught: one that arrived while they are given
// back would be lost.
func endAtSignals(cmd *cobra.Command) {
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error { return nil }
}
