//go:build linux

// Package deliver brings cores where they are wanted when that is not a
// directory: to a command, to standard output, to a bucket by a presigned URL.
// What leaves the machine can be compressed and encrypted before it does.
package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/internal/reap"
)

// A Core is a core on its way.
type Core struct {
	Name    string // of its file
	Program string
	PID     int
	Reason  string
	Size    int64 // about
	Write   func(io.Writer) error
}

// A Form says in what form cores leave.
type Form struct {
	Compress   bool // with zstd
	Recipients []age.Recipient
}

// ParseForm reads age public keys ("age1…").
func ParseForm(compress bool, recipients []string) (Form, error) {
	f := Form{Compress: compress}
	for _, r := range recipients {
		key, err := age.ParseX25519Recipient(r)
		if err != nil {
			return Form{}, fmt.Errorf("recipient %q: %w", r, err)
		}
		f.Recipients = append(f.Recipients, key)
	}
	return f, nil
}

// Apply returns the core in this form, with the name that goes with it.
func (f Form) Apply(c Core) Core {
	write := c.Write
	if f.Compress {
		c.Name += ".zst"
	}
	if len(f.Recipients) > 0 {
		c.Name += ".age"
	}
	c.Write = func(w io.Writer) error {
		var closers []io.Closer
		if len(f.Recipients) > 0 {
			sealed, err := age.Encrypt(w, f.Recipients...)
			if err != nil {
				return fmt.Errorf("encrypting: %w", err)
			}
			w, closers = sealed, append(closers, sealed)
		}
		if f.Compress {
			packed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			if err != nil {
				return fmt.Errorf("compressing: %w", err)
			}
			w, closers = packed, append(closers, packed)
		}
		if err := write(w); err != nil {
			return err
		}
		var failed error
		for i := len(closers) - 1; i >= 0; i-- { // the last one stands in front
			failed = errors.Join(failed, closers[i].Close())
		}
		return failed
	}
	return c
}

// commandWait bounds a command that takes a core.
const commandWait = 5 * time.Minute

// Command gives a core to a shell command on standard input, with its name and
// where it is from in the environment. Its error ends with what the command
// said last.
func Command(ctx context.Context, line string, env []string, c Core) error {
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.WaitDelay = time.Second
	cmd.Env = append(env[:len(env):len(env)], "MEMINSPECT_CORE="+c.Name, "MEMINSPECT_REASON="+c.Reason,
		"MEMINSPECT_PROGRAM="+c.Program, fmt.Sprint("MEMINSPECT_PID=", c.PID))
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("command for cores: %w", err)
	}
	said := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, said, said
	written := make(chan error, 1)
	go func() {
		err := c.Write(w)
		written <- errors.Join(err, w.Close())
	}()
	err = reap.Run(cmd)
	r.Close()
	if werr := <-written; err == nil {
		err = werr // it did not take all of it
	}
	if err != nil {
		return fmt.Errorf("command for cores: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
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
