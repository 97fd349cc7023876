package main

import "github.com/spf13/cobra"

// supervising are the commands that watch programs.
func supervising() []*cobra.Command {
	return []*cobra.Command{runCommand(), triggerCommand(), lastCommand(), watchCommand(), coreHandlerCommand()}
}
