package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// hang is how long examples/stuck may take to hang and to be captured. It takes a few
// seconds.
const hang = 2 * time.Minute

// story runs examples/stuck under meminspect run until it hangs, and prints the report of
// its core, which has the cause. It leaves the core.
func story(ctx context.Context, stdout io.Writer, tool, dir string) error {
	exe, cores := filepath.Join(dir, "stuck"), filepath.Join(dir, "cores")
	if err := build(ctx, exe, "./examples/stuck"); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "demo: examples/stuck moves money, until it hangs: meminspect run --heap --on-hang=kill -- stuck")
	ctx, cancel := context.WithTimeout(ctx, hang)
	defer cancel()
	run := exec.CommandContext(ctx, tool, "run", "--dir", cores, "--heap", "--on-hang=kill", "--", exe)
	var said bytes.Buffer
	run.Stdout, run.Stderr = stdout, io.MultiWriter(stdout, &said)
	ended := run.Run() // as the program ends: killed
	found, err := filepath.Glob(filepath.Join(cores, "*.hang.core"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no core of a hang: %w: %s", errors.Join(ended, ctx.Err()), said.Bytes())
	}
	if err := leave(found[0]); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "demo: the report of its core: meminspect report", left)
	report := exec.CommandContext(ctx, tool, "report", left)
	text, err := report.Output()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := stdout.Write(text); err != nil {
		return err
	}
	if !bytes.Contains(text, []byte("deadlock of ")) || !bytes.Contains(text, []byte("main.pay")) {
		return errors.New("the report does not name the deadlock")
	}
	fmt.Fprintln(stdout, "demo: the cause: main.pay locks the accounts of a transfer in the order of its direction")
	return nil
}

// build builds a package.
func build(ctx context.Context, exe, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", exe, pkg)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", pkg, err)
	}
	return nil
}
