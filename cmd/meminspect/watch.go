//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/supervise"
)

// watchStage is set in the environment of the process that does watch command's
// work; see package runtime/monitor, the only one to call it.
const watchStage = "MEMINSPECT_WATCH"

func watchCommand() *cobra.Command {
	var f runFlags
	var channel int
	cmd := &cobra.Command{
		Use:     "watch PID",
		Short:   "Watch a program that started this process through package runtime/monitor",
		Example: "  meminspect watch --channel-fd=3 4711",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[0])
			if err != nil || pid <= 0 || channel < 3 {
				return fmt.Errorf("watch: this command is for package runtime/monitor, which gives it a channel")
			}
			if os.Getenv(watchStage) == "" {
				return f.detach(channel)
			}
			os.Unsetenv(watchStage)
			return f.watch(cmd, supervise.Attachment{PID: pid, Channel: channel})
		},
	}
	f.add(cmd)
	cmd.Flags().Var(number{&channel, 3, anyNumber}, "channel-fd", "descriptor of the channel over which the program registers")
	return cmd
}

// detach starts this command again, in a new session and without a parent that
// waits for it, and ends.
func (f *runFlags) detach(channel int) error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), watchStage+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for fd := 3; fd <= channel; fd++ {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), "inherited"))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return cmd.Process.Release()
}

// watch greets the program over standard input and output, then lets go of both:
// they are the program's, and its readers must see their end.
func (f *runFlags) watch(cmd *cobra.Command, a supervise.Attachment) error {
	config, closeReport, err := f.config(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer closeReport()
	config.Capture.Place = config.Capture.Place.Or(placeOf(a.PID))
	for _, err := range f.checkRunning(a.PID) {
		remark(config.Report, err.Error())
	}
	f.warnOfFiles(config.Report)
	if config.OutputTaken {
		return fmt.Errorf("watch: --to -: standard output is the program's; use a directory, a command or a URL")
	}
	fmt.Fprintf(cmd.OutOrStdout(), "pid %d\n", os.Getpid())
	if line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n'); err != nil || line != "go\n" {
		return fmt.Errorf("watch: the program went away: %q, %w", line, err)
	}
	a.Ready = func(promise, last string) {
		if last != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "last %s\n", strings.ReplaceAll(last, "\n", " "))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "ready %s\n", promise)
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return
		}
		for _, fd := range []int{0, 1} {
			_ = syscall.Dup3(int(null.Fd()), fd, 0) // it replaces an open descriptor, which cannot fail
		}
		null.Close()
	}
	return supervise.Watch(config, a)
}
