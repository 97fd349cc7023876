package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/agent"
	"github.com/meminspect/meminspect/runtime/format/minidump"
)

func minidumpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "minidump",
		Short: "Export and assemble Qualcomm minidumps",
		Long: `A program that uses package minidump keeps a table of contents as Qualcomm's
firmware reads it. These commands do the work of the firmware and the host tool:
copy the regions into files, and assemble the files into a core.`,
	}
	cmd.AddCommand(minidumpExportCommand(), minidumpAssembleCommand())
	return cmd
}

func minidumpExportCommand() *cobra.Command {
	var pid int
	var toc string
	cmd := &cobra.Command{
		Use:   "export {--toc FILE | --pid PID} DIR",
		Short: "Copy the regions of a table of contents into files",
		Long: `Copy each region that a program's table of contents names into a file of DIR,
named as the host tools name them (md_KELF1.BIN). The files in the printed order
are a core: cat them, or use meminspect minidump assemble. The program keeps
running.

The exit status is 3 if memory of a region could not be read; marks replace it. The
statuses in the core tell that, and which regions changed while they were copied.`,
		Example: `  meminspect minidump export --toc shop.minidump files`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (pid == 0) == (toc == "") {
				return errors.New("minidump export: give one of --toc and --pid")
			}
			if toc != "" {
				var err error
				if pid, err = agent.FindProcess(toc); err != nil {
					return fmt.Errorf("minidump export: %w", err)
				}
			}
			copies, err := exportProcess(pid, args[0])
			if err != nil {
				return fmt.Errorf("minidump export: process %d: %w", pid, err)
			}
			tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(tw, "FILE\tADDRESS\tBYTES\tUNREADABLE")
			holes := uint64(0)
			for _, c := range copies {
				fmt.Fprintf(tw, "%s\t%#x\t%d\t%d\n", filepath.Base(c.File), c.Address, c.True, c.Holes)
				holes += c.Holes
			}
			if err := tw.Flush(); err != nil {
				return err
			}
			if holes > 0 {
				return &exitError{status: exitPartial, err: fmt.Errorf("minidump export: %d bytes could not be read", holes)}
			}
			return nil
		},
	}
	cmd.Flags().Var(number{&pid, 1, anyNumber}, "pid", "the process whose table it is")
	cmd.Flags().StringVar(&toc, "toc", "", "the table's `FILE`; the process that has it mapped is found by it")
	return cmd
}

func exportProcess(pid int, dir string) ([]agent.Copy, error) {
	p, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	at, err := agent.FindTable(p)
	if err != nil {
		return nil, err
	}
	return agent.Export(p.Memory(), at, dir)
}

func minidumpAssembleCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "assemble DIR",
		Short: "Assemble the files of an export into a core, and check it",
		Long: fmt.Sprintf(`Assemble the files of an export into a core in the order of their numbers, and
check that they match the core's head: none missing, none of another export, no
segment beyond the end.

Old firmware reads %d regions; a larger table gets a warning.`, minidump.MaxRegions),
		Example: `  meminspect minidump assemble -o shop.core files`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := assemble(args[0], output)
			if err != nil {
				return fmt.Errorf("minidump assemble: %w", err)
			}
			core, err := inspect.Open(output)
			if err != nil {
				return fmt.Errorf("minidump assemble: %w", err)
			}
			defer core.Close()
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes of %d files, %d regions\n", output, core.Bytes, len(files), len(core.Regions))
			if len(files) > minidump.MaxRegions {
				fmt.Fprintf(cmd.OutOrStdout(), "%d regions are more than the %d that old firmware takes\n", len(files), minidump.MaxRegions)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "minidump.core", "the core's `FILE`")
	return cmd
}

// assemble writes the core; it appears under its name when it is complete.
func assemble(dir, output string) ([]string, error) {
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", output)
	}
	f, err := os.CreateTemp(filepath.Dir(output), "."+filepath.Base(output)+".*.tmp")
	if err != nil {
		return nil, err
	}
	files, err := agent.Assemble(dir, f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), output)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	return files, nil
}
