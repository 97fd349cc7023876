//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// What install changes, and where it keeps what was there before.
const (
	corePattern = "/proc/sys/kernel/core_pattern"
	maxPattern  = 127 // the kernel cuts longer ones without a word
)

func coreHandlerCommand() *cobra.Command {
	var f runFlags
	var full bool
	cmd := &cobra.Command{
		Use:   "core-handler PID SIGNAL COMMAND",
		Short: "Take what the kernel makes cores of, as the pipe handler of core_pattern",
		Long: `core-handler is started by the kernel for a process that dumps core, if
/proc/sys/kernel/core_pattern says so; install makes it say so. It captures Go
programs as capture does, through /proc, while the kernel waits. Of a process that
cannot be read there the kernel's own core, on standard input, is filtered as
filter does. It is kept only where --full asks for it in case that neither works:
it holds all memory, secrets included.

A Go program dumps core under GOTRACEBACK=crash, and when a thread of C faults.`,
		Example: "  meminspect core-handler --dir cores 4711 11 server",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[0])
			sig, err2 := strconv.Atoi(args[1])
			if err := errors.Join(err, err2); err != nil || pid <= 0 {
				return fmt.Errorf("core-handler: %q and %q are not a process and a signal", args[0], args[1])
			}
			err = f.handleCore(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), pid, unix.Signal(sig), args[2], full)
			logToKernel(err)
			return err
		},
	}
	cmd.Flags().SetInterspersed(false) // a process may call itself --to=exec:true
	f.add(cmd)
	cmd.Flags().BoolVar(&full, "full", false, "store the kernel's core when the process cannot be captured")
	cmd.AddCommand(coreHandlerInstall(), coreHandlerUninstall())
	return cmd
}

// handleCore captures a process that dumps core. Of standard input nothing but
// the core's head is read before that is done, or the kernel would let the process
// go.
func (f *runFlags) handleCore(ctx context.Context, stdin io.Reader, stderr io.Writer, pid int, sig unix.Signal, command string, full bool) error {
	config, closeReport, err := f.config(stderr)
	if err != nil {
		return err
	}
	defer closeReport()
	reason := siginfo.Reason(int(sig))
	opts := config.Capture
	r := &opts.Request
	r.Requester = "meminspect core-handler"
	if config.Limits != nil {
		var refused *store.RefusedError
		suppressed, err := config.Limits(command, reason)
		if errors.As(err, &refused) {
			return fmt.Errorf("core-handler: %w", err)
		}
		if suppressed > 0 {
			r.Extra = append(r.Extra, note.Pair{Key: "suppressed", Value: strconv.Itoa(suppressed)})
		}
	}
	r.Extra = append(r.Extra, note.Pair{Key: "signal", Value: sig.String()})
	r.OnReleased = request.PanicOf(int(sig))
	opts.Reason = reason
	opts.Stop = capture.StopNever // the kernel holds every thread already
	core := supervise.Core{Program: command, PID: pid, Reason: reason, When: time.Now()}
	from := &stream{f: f, pipe: stdin, stdin: stdin, pid: pid, keep: full}
	defer from.close()
	if r.Hold.Dump, err = from.head(); err != nil {
		r.Extra = append(r.Extra, note.Pair{Key: "remark", Value: "no registers: " + err.Error()})
	}
	c, err := capture.Capture(ctx, pid, opts)
	if err != nil {
		if c, err = from.fallBack(ctx, opts, err); err != nil {
			if !full {
				return fmt.Errorf("core-handler: %w", err)
			}
			core.Write = from.write
			if _, serr := config.Sink(core); serr != nil {
				return fmt.Errorf("core-handler: %w", errors.Join(err, serr))
			}
			return &exitError{status: exitPartial, err: fmt.Errorf("core-handler: the kernel's core was stored: %w", err)}
		}
	}
	from.release()
	summary := c.Summary()
	core.When = summary.When
	if core.Size, err = c.Size(); err == nil {
		core.Write = corefile.From(c)
		_, err = config.Sink(core)
	}
	if err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	if summary.Partial {
		said := "was captured in part"
		if summary.Mode == "record" {
			said = "could not be read"
		}
		return &exitError{status: exitPartial, err: fmt.Errorf("core-handler: process %d (%s) %s; its core says why: %v", pid, command, said, summary.Problems[0])}
	}
	return nil
}

// logToKernel writes an error to the kernel's log, when it is the kernel that
// started us: then standard error leads nowhere.
func logToKernel(err error) {
	const kthreadd = 2 // whose children the kernel's helpers are
	if err == nil || os.Getppid() != kthreadd {
		return
	}
	log, openErr := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if openErr != nil {
		return
	}
	defer log.Close()
	for line := range strings.Lines(err.Error()) { // a write is a record
		fmt.Fprintf(log, "<3>meminspect: %s\n", strings.TrimSpace(line))
	}
}

func coreHandlerInstall() *cobra.Command {
	var dir, before string
	cmd := &cobra.Command{
		Use:     "install",
		Short:   "Make this command the kernel's handler of cores, and keep what was there",
		Example: "  meminspect core-handler install --dir /var/lib/meminspect",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("core-handler: %w", err)
			}
			return installHandler(cmd.OutOrStdout(), exe, dir, before, corePattern)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "/var/lib/meminspect", "directory for cores")
	cmd.Flags().StringVar(&before, "before", "/var/lib/meminspect/core_pattern.before", "file that keeps the setting from before")
	return cmd
}

func installHandler(out io.Writer, exe, dir, before, setting string) error {
	old, err := os.ReadFile(setting)
	if err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	// %P is the number that the process has for us, outside its container.
	line := fmt.Sprintf("|%s core-handler --dir=%s %%P %%s %%e", exe, dir)
	if len(line) > maxPattern {
		return fmt.Errorf("core-handler: %q is %d bytes long and the kernel takes %d: use shorter paths", line, len(line), maxPattern)
	}
	if strings.ContainsAny(exe+dir, " %|") {
		return fmt.Errorf("core-handler: the kernel splits the line %q at spaces and percent signs: use other paths", line)
	}
	if isOurs(old) {
		if string(bytes.TrimSpace(old)) == line {
			fmt.Fprintf(out, "is installed already: %s\n", line)
			return nil
		}
		// What was there before us is kept still.
		if err := os.WriteFile(setting, []byte(line+"\n"), 0o644); err != nil {
			return fmt.Errorf("core-handler: %w", err)
		}
		fmt.Fprintf(out, "was: %sis:  %s\n", old, line)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(before), 0o700); err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	if err := os.WriteFile(before, old, 0o600); err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	if err := os.WriteFile(setting, []byte(line+"\n"), 0o644); err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	fmt.Fprintf(out, "was: %s(kept in %s)\nis:  %s\n", old, before, line)
	return nil
}

func isOurs(pattern []byte) bool { return bytes.Contains(pattern, []byte(" core-handler --dir=")) }

func coreHandlerUninstall() *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:     "uninstall",
		Short:   "Put back what install found",
		Example: "  meminspect core-handler uninstall",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return uninstallHandler(cmd.OutOrStdout(), before, corePattern)
		},
	}
	cmd.Flags().StringVar(&before, "before", "/var/lib/meminspect/core_pattern.before", "file that keeps the setting from before")
	return cmd
}

func uninstallHandler(out io.Writer, before, setting string) error {
	now, err := os.ReadFile(setting)
	if err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	if !isOurs(now) {
		return fmt.Errorf("core-handler: the kernel's handler is %q, which is not ours to take away", bytes.TrimSpace(now))
	}
	old, err := os.ReadFile(before)
	if err != nil {
		return fmt.Errorf("core-handler: what was there before is not known: %w", err)
	}
	if err := os.WriteFile(setting, old, 0o644); err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	fmt.Fprintf(out, "was: %sis:  %s", now, old)
	return os.Remove(before)
}
