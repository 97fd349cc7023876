//go:build linux

package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/supervise/trigger"
)

func triggerCommand() *cobra.Command {
	var dir, reason string
	var heap bool
	var require choice
	cmd := &cobra.Command{
		Use:   "trigger [PID]",
		Short: "Request a capture from the supervisor of a program",
		Long: `trigger requests a capture from the supervisor (meminspect run) of the program PID and
prints the path of the core. It works where capture does not, because the
supervisor already traces the program. PID may be omitted if the directory
has only one supervisor. The exit status is 3 if the core is there, but something is
missing for another reason than depth, budget or an exclusion.`,
		Example: "  meminspect trigger --dir cores --reason slow-orders",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				dir = defaultDir()
			}
			pid, err := supervised(dir, args)
			if err != nil {
				return err
			}
			a, err := trigger.Send(cmd.Context(), dir, pid, trigger.Request{Reason: reason, Heap: heap})
			if err != nil {
				return err
			}
			if a.Error != "" {
				return &exitError{status: exitFindings, err: fmt.Errorf("trigger: %s", a.Error)}
			}
			fmt.Fprintln(cmd.OutOrStdout(), a.Path)
			incomplete := make([]capture.Incomplete, len(a.Incomplete))
			for i, r := range a.Incomplete {
				incomplete[i] = capture.Incomplete(r)
			}
			if err := checkRequired(require, verbOf(cmd), a.Regions, incomplete); err != nil {
				return err
			}
			if a.Partial {
				return &exitError{status: exitPartial, err: fmt.Errorf("trigger: the core lacks something unexpectedly: meminspect info reports what")}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory for cores of run (default as for run)")
	addRequire(cmd, &require)
	cmd.Flags().StringVar(&reason, "reason", "asked", "reason for the core's record and file name")
	cmd.Flags().BoolVar(&heap, "heap", false, "record what keeps the program's memory alive, as with run --heap")
	return cmd
}

// supervised returns the program that is meant: the one named, else the only one.
func supervised(dir string, args []string) (int, error) {
	if len(args) == 1 {
		pid, err := strconv.Atoi(args[0])
		if err != nil || pid <= 0 {
			return 0, fmt.Errorf("trigger: %q is not a process number", args[0])
		}
		return pid, nil
	}
	switch pids := trigger.Programs(dir); len(pids) {
	case 0:
		return 0, fmt.Errorf("trigger: no program is supervised with %s as its directory", dir)
	case 1:
		return pids[0], nil
	default:
		return 0, fmt.Errorf("trigger: %s belongs to several programs %v; name one", dir, pids)
	}
}
