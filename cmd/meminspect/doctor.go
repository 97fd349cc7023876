package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [PID]",
		Short: "Check whether a capture would work, and explain what prevents it",
		Long: `Doctor tries what a capture needs, on this host and, with a PID, on that process,
and prints for each failure what to do about it. It changes nothing. The
exit status is 1 when something fails.`,
		Example: `  meminspect doctor
  meminspect doctor $PID`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			checks := capture.DiagnoseHost()
			if len(args) == 1 {
				pid, err := strconv.Atoi(args[0])
				if err != nil || pid <= 0 {
					return fmt.Errorf("doctor: %q is not a process ID", args[0])
				}
				checks = append(checks, capture.Diagnose(pid)...)
			}
			return printChecks(cmd, checks, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printChecks(cmd *cobra.Command, checks []capture.Check, asJSON bool) error {
	w := cmd.OutOrStdout()
	if asJSON {
		if err := printJSON(w, checks); err != nil {
			return err
		}
	}
	failed := false
	for _, c := range checks {
		failed = failed || !c.OK
		if asJSON {
			continue
		}
		mark := "ok  "
		if !c.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s  %-15s %s\n", mark, c.What, c.Note)
		if !c.OK && c.Fix != "" {
			fmt.Fprintf(w, "      %-15s to do: %s\n", "", c.Fix)
		}
	}
	if failed {
		return &exitError{status: exitFindings}
	}
	return nil
}
