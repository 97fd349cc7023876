package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/gcpause"
)

type captureCommandFlags struct {
	saveFlags
	stop, noStop, noRecord bool
}

func captureCommand() *cobra.Command {
	var f captureCommandFlags
	cmd := &cobra.Command{
		Use:   "capture PID",
		Short: "Capture a running Go process into a small core",
		Long: `Capture reads another Go process and writes an ELF core that gdb, Delve and this
tool open: every annotated or registered value with what it leads to, every
goroutine with its stack, every thread. The program does not have to cooperate: it
may be stripped, hang, or be stopped. Capture stops it for some milliseconds.

Programs with cgo are not stopped unless you give --stop or --heap, because
interrupted system calls of C code may fail with EINTR. Memory that changes while
it is read is then marked as torn.

The core goes to PROGRAM.PID.UTCTIME.REASON.core in the working directory, mode
0600, and its path is printed. If memory may not be read, capture writes a core
without memory that records the reason, and the exit status is 3.`,
		Example: `  meminspect capture $PID
  meminspect capture $PID -o now.core --stacks=skeleton
  meminspect capture $PID -o now.core.zst --compress`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[0])
			if err != nil || pid <= 0 {
				return fmt.Errorf("capture: %q is not a process ID", args[0])
			}
			gcpause.Until(smallHeap)
			return f.run(cmd, pid)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.stop, "stop", false, "stop the program, even with cgo")
	fl.BoolVar(&f.noStop, "no-stop", false, "let the program run while it is read")
	fl.StringVar(&f.reason, "reason", "asked", "why, for the record and the file's name")
	fl.BoolVar(&f.noRecord, "no-record", false, "write no core if memory may not be read")
	exclusive(cmd, "", "stop", "no-stop")
	exclusive(cmd, "the heap is read while the program is stopped", "heap", "no-stop")
	return cmd
}

func (f *captureCommandFlags) run(cmd *cobra.Command, pid int) error {
	opts := f.options(cmd)
	opts.Place = opts.Place.Or(placeOf(pid))
	switch {
	case f.stop:
		opts.Stop = capture.StopAlways
	case f.noStop:
		opts.Stop = capture.StopNever
	}
	return f.save(cmd, opts, func(opts capture.Options) (*capture.Core, error) {
		core, err := capture.Capture(cmd.Context(), pid, opts)
		if err != nil {
			return f.refused(cmd, pid, opts, err)
		}
		return core, nil
	})
}

// refused reports why the memory is not readable, and makes a core that records
// it.
func (f *captureCommandFlags) refused(cmd *cobra.Command, pid int, opts capture.Options, cause error) (*capture.Core, error) {
	if !capture.IsUnreadable(cause) || f.noRecord || cmd.Context().Err() != nil {
		return nil, cause
	}
	core, err := capture.WriteStub(pid, opts, cause)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	return core, nil
}
