// Command meminspect annotates, checks, captures and reads variables of Go
// programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	if asWitness() || asRelay() {
		return
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// untilSignal returns a context that SIGINT and SIGTERM cancel. A signal that
// is ignored, as shells do for background jobs, stays ignored.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	signals := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM}, signal.Ignored)
	if len(signals) == 0 {
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, signals...)
}

// Exit statuses.
const (
	exitDone     = 0
	exitFindings = 1 // the command found what it looks for: findings, hits, stale files
	exitUsage    = 2 // wrong usage, bad input, or a failed write
	exitPartial  = 3 // requested data is missing from the result
)

// An exitError is an error with its exit status. If err is nil, the command has
// printed everything.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if asVetTool(args) {
		vetTool()
	}
	out, errOut := &output{w: stdout}, &output{w: stderr}
	if len(args) == 0 || args[0] != "run" { // which then runs the program without a supervisor
		if err := roomForCommand(); err != nil {
			fmt.Fprintf(errOut, "meminspect: %v\n", err)
			return exitUsage
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := commandFor(args)
	cmd.SetArgs(withReport(args))
	cmd.SetIn(stdin)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	err := cmd.ExecuteContext(ctx)
	out.finish()
	if out.err != nil {
		err = fmt.Errorf("write standard output: %w", out.err)
	}
	if err == nil {
		return exitDone
	}
	status := exitUsage
	var exit *exitError
	if errors.As(err, &exit) {
		status = exit.status
		if exit.err == nil {
			return status
		}
	}
	fmt.Fprintf(errOut, "meminspect: %v\n", err)
	return status
}
