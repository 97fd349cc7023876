package main

import "github.com/spf13/cobra"

// supervisor returns the command with that name if it watches a program until its
// end, else nil.
func supervisor(name string) *cobra.Command {
	switch name {
	case "run":
		return runCommand()
	case "watch":
		return watchCommand()
	}
	return nil
}

// supervising are the commands that watch programs.
func supervising() []*cobra.Command {
	return []*cobra.Command{runCommand(), triggerCommand(), lastCommand(), watchCommand(), coreHandlerCommand()}
}
