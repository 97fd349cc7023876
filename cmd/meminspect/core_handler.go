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
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// The setting that install changes, and the file that keeps the old one.
const (
	corePattern = "/proc/sys/kernel/core_pattern"
	maxPattern  = 127 // the kernel truncates longer ones without an error
)

func coreHandlerCommand() *cobra.Command {
	var f runFlags
	var full bool
	var policy string
	cmd := &cobra.Command{
		Use:   "core-handler PID SIGNAL COMMAND",
		Short: "Act as a core_pattern pipe handler",
		Long: `The kernel starts core-handler for a process that dumps core, if
/proc/sys/kernel/core_pattern names it; install sets that. core-handler captures
Go programs through /proc, as capture does, while the kernel waits. If the process
cannot be read there, core-handler filters the kernel's core on standard input, as
filter does. If that fails too, --full stores the kernel's core as it is, with all
memory, secrets included.

A Go program dumps core under GOTRACEBACK=crash, and when a thread of C faults.`,
		Example: "  meminspect core-handler --dir cores 4711 11 server",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[0])
			sig, err2 := strconv.Atoi(args[1])
			if err := errors.Join(err, err2); err != nil || pid <= 0 {
				return fmt.Errorf("core-handler: %q and %q are not a process and a signal", args[0], args[1])
			}
			if policy != "" {
				ignore, err := applyPolicy(policy, pid, args[2], cmd.Flags())
				if err != nil || ignore {
					logToKernel(err)
					return err
				}
			}
			err = f.handleCore(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), pid, unix.Signal(sig), args[2], full)
			logToKernel(err)
			return err
		},
	}
	cmd.Flags().SetInterspersed(false) // a process may be named --to=exec:true
	f.addHandled(cmd)
	cmd.Flags().Lookup("to-wait").Usage = handlerWaitUsage
	cmd.Flags().BoolVar(&full, "full", false, "store the kernel's core if the process cannot be captured")
	cmd.Flags().StringVar(&policy, "policy", "", policyUsage)
	cmd.AddCommand(coreHandlerInstall(), coreHandlerUninstall())
	return cmd
}

const handlerWaitUsage = "how long the handler waits for a core that is sent with --to; 0 is two minutes for s3:// and URLs, whose cores wait in the directory then, and five minutes for a command, which is killed then"

// handleCore captures a process that dumps core. Until then it reads only the
// core's head from standard input, or the kernel would release the process.
func (f *runFlags) handleCore(ctx context.Context, stdin io.Reader, stderr io.Writer, pid int, sig unix.Signal, command string, full bool) error {
	f.notifyEnd = notifyWait // the program has ended already
	if f.toWait == 0 && !strings.HasPrefix(f.to, "exec:") {
		f.toWait = handlerWait
	}
	config, closeReport, err := f.config(stderr)
	if err != nil {
		return err
	}
	defer closeReport()
	reason := siginfo.Reason(int(sig))
	opts := config.Capture
	opts.Place = opts.Place.Or(placeOf(pid))
	r := &opts.Request
	r.Requester, r.Lenient = "meminspect core-handler", true
	if config.Limits != nil {
		var refused *store.RefusedError
		suppressed, err := config.Limits(command, reason)
		if errors.As(err, &refused) {
			return fmt.Errorf("core-handler: %w", err)
		}
		if err != nil {
			r.Extra = append(r.Extra, note.Pair{Key: "remark", Value: "limits are not in force: " + err.Error()})
		}
		if suppressed > 0 {
			r.Extra = append(r.Extra, note.Pair{Key: "suppressed", Value: strconv.Itoa(suppressed)})
		}
	}
	r.Extra = append(r.Extra, note.Pair{Key: "signal", Value: sig.String()})
	r.OnReleased = request.PanicOf(int(sig))
	r.Sign = report.Sign
	opts.Reason = reason
	opts.Stop = capture.StopNever // the kernel has already stopped every thread
	core := supervise.Core{Program: command, PID: pid, Reason: reason, When: time.Now()}
	owner, owned := ownerOf(pid)
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
			where, serr := config.Sink(core)
			if serr != nil {
				return fmt.Errorf("core-handler: %w", errors.Join(err, serr))
			}
			err = fmt.Errorf("core-handler: the kernel's core was stored: %w", err)
			return &exitError{status: exitPartial, err: errors.Join(err, f.toOwner(where, owner, owned))}
		}
	}
	from.release()
	summary := c.Summary()
	core.When, core.Signature = summary.When, summary.Signature
	var where string
	if core.Size, err = c.Size(); err == nil {
		core.Write = corefile.From(c)
		where, err = config.Sink(core)
	}
	if err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	unread := f.toOwner(where, owner, owned)
	if summary.Partial {
		printed := "was captured in part"
		if summary.Mode == "record" {
			printed = "could not be read"
		}
		err := fmt.Errorf("core-handler: process %d (%s) %s; its core has the reason: %v", pid, command, printed, summary.Problems[0])
		return &exitError{status: exitPartial, err: errors.Join(err, unread)}
	}
	return unread
}

// toOwner lets the owner of a process, if there is one, read the core that was stored.
func (f *runFlags) toOwner(where string, owner uint32, owned bool) error {
	if !owned || f.to != "" {
		return nil
	}
	if err := letRead(where, owner); err != nil {
		return fmt.Errorf("core-handler: the core is in %s, but its user %d cannot read it: %w", where, owner, err)
	}
	return nil
}

// logToKernel writes an error to the kernel's log if the kernel started this
// process, which then has no standard error.
func logToKernel(err error) {
	const kthreadd = 2 // parent of the kernel's helpers
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
	var f runFlags
	var before, policy string
	var wait bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Set core_pattern to this command, and keep the old setting",
		Long: `install writes a command line of core-handler into /proc/sys/kernel/core_pattern. It
accepts the flags of core-handler and writes them into that line.
The kernel accepts 127 bytes, and splits the line at spaces.

With --wait it stays until SIGTERM or SIGINT, and then restores the old setting, as a
container of a DaemonSet does.`,
		Example: `  meminspect core-handler install --dir /var/lib/meminspect
  meminspect core-handler install --dir /var/cores --stacks=none --budget=1MiB --limit=3/1h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("core-handler install: %w", err)
			}
			if _, err := f.form(); err != nil {
				return fmt.Errorf("core-handler install: %w", err)
			}
			if err := checkPolicy(policy); err != nil {
				return fmt.Errorf("core-handler install: %w", err)
			}
			line, err := handlerLine(exe, cmd.Flags())
			if err == nil {
				err = installHandler(cmd.OutOrStdout(), line, before, corePattern)
			}
			if err != nil {
				return fmt.Errorf("core-handler install: %w", err)
			}
			if wait {
				<-cmd.Context().Done()
				return uninstallHandler(cmd.OutOrStdout(), before, corePattern)
			}
			return nil
		},
	}
	f.addHandled(cmd)
	cmd.Flags().Lookup("to-wait").Usage = handlerWaitUsage
	cmd.Flags().BoolVar(&wait, "wait", false, "stay until SIGTERM or SIGINT, and restore the old setting then")
	cmd.Flags().StringVar(&policy, "policy", "", policyUsage)
	cmd.Flags().Bool("full", false, "store the kernel's core if the process cannot be captured")
	dir := cmd.Flags().Lookup("dir")
	dir.Usage, dir.DefValue, f.dir = "`directory` for cores", "/var/lib/meminspect", "/var/lib/meminspect"
	cmd.Flags().StringVar(&before, "before", "/var/lib/meminspect/core_pattern.before", "`file` that keeps the old setting")
	return cmd
}

// handlerLine returns the setting of core_pattern that makes exe the handler, with
// the flags that are set. The kernel starts it in the root directory, so paths are
// absolute.
func handlerLine(exe string, flags *pflag.FlagSet) (string, error) {
	words := []string{exe, "core-handler"}
	var failed error
	add := func(flag *pflag.Flag, value string) {
		switch flag.Name {
		case "dir", "policy", "symbols", "recipients-file", "message", "report":
			path, err := filepath.Abs(value)
			value, failed = path, errors.Join(failed, err)
		}
		words = append(words, "--"+flag.Name+"="+value)
	}
	dir := flags.Lookup("dir")
	add(dir, dir.Value.String()) // first, see isOurs
	flags.Visit(func(flag *pflag.Flag) {
		list, isList := flag.Value.(pflag.SliceValue)
		switch {
		case flag.Name == "dir" || flag.Name == "before" || flag.Name == "wait":
		case isList:
			for _, value := range list.GetSlice() {
				add(flag, value)
			}
		default:
			add(flag, flag.Value.String())
		}
	})
	if failed != nil {
		return "", failed
	}
	for _, word := range words {
		if strings.ContainsAny(word, " \t\n%|") {
			return "", fmt.Errorf("%q has a space, %%, or |, which the kernel does not pass on: use another value", word)
		}
	}
	// %P is the process ID in the host's PID namespace.
	line := "|" + strings.Join(append(words, "%P", "%s", "%e"), " ")
	if len(line) > maxPattern {
		return "", fmt.Errorf("%q has %d bytes, and the kernel accepts %d: use shorter paths or fewer flags, and --recipients-file instead of --recipient", line, len(line), maxPattern)
	}
	return line, nil
}

// installHandler writes the line into the setting. It keeps the old setting in
// the file before, unless that is a line of an earlier install.
func installHandler(out io.Writer, line, before, setting string) error {
	old, err := os.ReadFile(setting)
	if err != nil {
		return err
	}
	if string(bytes.TrimSpace(old)) == line {
		fmt.Fprintf(out, "is installed already: %s\n", line)
		return nil
	}
	kept := ""
	if !isOurs(old) {
		if err := os.MkdirAll(filepath.Dir(before), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(before, old, 0o600); err != nil {
			return err
		}
		kept = fmt.Sprintf("(kept in %s)\n", before)
	}
	if err := os.WriteFile(setting, []byte(line+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "was: %s%sis:  %s\n", old, kept, line)
	return nil
}

func isOurs(pattern []byte) bool { return bytes.Contains(pattern, []byte(" core-handler --dir=")) }

func coreHandlerUninstall() *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:     "uninstall",
		Short:   "Restore the setting that install replaced",
		Example: "  meminspect core-handler uninstall",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return uninstallHandler(cmd.OutOrStdout(), before, corePattern)
		},
	}
	cmd.Flags().StringVar(&before, "before", "/var/lib/meminspect/core_pattern.before", "`file` that keeps the old setting")
	return cmd
}

func uninstallHandler(out io.Writer, before, setting string) error {
	now, err := os.ReadFile(setting)
	if err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	if !isOurs(now) {
		return fmt.Errorf("core-handler uninstall: core_pattern is %q, which install did not write: it is left as it is", bytes.TrimSpace(now))
	}
	old, err := os.ReadFile(before)
	if err != nil {
		return fmt.Errorf("core-handler uninstall: read the old setting: %w", err)
	}
	if err := os.WriteFile(setting, old, 0o644); err != nil {
		return fmt.Errorf("core-handler: %w", err)
	}
	fmt.Fprintf(out, "was: %sis:  %s", now, old)
	return os.Remove(before)
}
