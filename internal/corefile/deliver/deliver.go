//go:build linux

// Package deliver sends cores to destinations other than a directory: to a
// command, to standard output, or to an object store. Cores that
// leave the machine can be compressed and encrypted.
package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/reap"
)

// A Core is a core to be delivered.
type Core struct {
	Name    string // of its file
	Program string
	PID     int
	Reason  string
	Size    int64 // approximate
	Write   func(io.Writer) error
}

// Apply returns the core with its name and bytes in form.
func (c Core) Apply(form corefile.Form) Core {
	write := c.Write
	c.Name += form.Suffix()
	c.Write = func(w io.Writer) error { return form.Write(w, write) }
	return c
}

// Command passes a core to a command on standard input, with its name and origin
// in the environment. In the command's words, "{name}" is replaced by the core's
// file name. The end of ctx kills the command; the error has the cause of ctx if a
// deadline passed. It ends with the command's last output.
func Command(ctx context.Context, words, env []string, c Core) error {
	words = slices.Clone(words)
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "{name}", c.Name)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(slices.Clone(env), "MEMINSPECT_CORE="+c.Name, "MEMINSPECT_REASON="+c.Reason,
		"MEMINSPECT_PROGRAM="+c.Program, fmt.Sprint("MEMINSPECT_PID=", c.PID))
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("command for cores: %w", err)
	}
	printed := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, printed, printed
	written := make(chan error, 1)
	go func() {
		err := c.Write(w)
		written <- errors.Join(err, w.Close())
	}()
	err = reap.Run(cmd)
	r.Close()
	if werr := <-written; err == nil {
		err = werr // it did not read all of it
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	text := strings.TrimSpace(printed.String())
	switch {
	case err == nil:
		return nil
	case text == "":
		return fmt.Errorf("command for cores: %w", err)
	}
	return fmt.Errorf("command for cores: %w: %s", err, text)
}

// A tail keeps the last few hundred bytes.
type tail struct{ bytes.Buffer }

const tailSize = 500

func (t *tail) Write(p []byte) (int, error) {
	t.Buffer.Write(p)
	if extra := t.Len() - tailSize; extra > 0 {
		t.Next(extra)
	}
	return len(p), nil
}
