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
	root := emptyRoot()
	addVersion(root)
	addGroup(root, groupAnnotate, "Annotate:", initCommand(), suggestCommand(), generateCommand(), idsCommand(), breakingCommand(), lintCommand(), linkCommand())
	addGroup(root, groupCapture, captureTitle, append(supervising(), captureCommand(), filterCommand(), doctorCommand())...)
	addGroup(root, groupRead, "Read:", reportCommand(), listCommand(), rmCommand(), infoCommand(), regionsCommand(), printCommand(), findCommand(), diffCommand(), goroutinesCommand(), waitsCommand(), logCommand(), heapCommand(), scanCommand(), debugCommand(), shellCommand(), viewCommand())
	addGroup(root, groupFormats, "Formats:", minidumpCommand(), kinfoCommand(), pstoreCommand())
	root.AddCommand(annotationsTopic(), copyCommand(), manCommand(), versionCommand())
	strictHelp(root)
	explain(root)
	return root
}

// commandFor returns the commands for a command line. A supervisor keeps them as
// long as its program runs, so it has only its own.
func commandFor(args []string) *cobra.Command {
	if len(args) == 0 {
		return rootCommand()
	}
	own := supervisor(args[0])
	if own == nil {
		root := rootCommand()
		if args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd {
			addCompletions(root) // nowhere else: cobra keeps these commands for ever
		}
		return root
	}
	root := emptyRoot()
	addGroup(root, groupCapture, captureTitle, own)
	strictHelp(root)
	explain(root)
	return root
}

const captureTitle = "Capture:"

func emptyRoot() *cobra.Command {
	return &cobra.Command{
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
}

// addGroup adds the commands of a group.
func addGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
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
