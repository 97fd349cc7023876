//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/corefile/deliver"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/supervise"
)

// toVariable replaces --to; stdoutName is its value for standard output.
const (
	toVariable = "MEMINSPECT_TO"
	stdoutName = "-"
)

const (
	// uploadWait bounds one attempt to send a core.
	uploadWait = 10 * time.Minute

	// toWait is how long a program's restart waits for a core that is sent to a
	// server. The core waits in the spool then.
	toWait = time.Second

	// commandWait is how long it waits for a command, which cannot be repeated.
	commandWait = 5 * time.Minute

	// handlerWait is how long a core handler waits for a server: nothing is
	// restarted.
	handlerWait = 2 * time.Minute

	// unspooledWait is how long a program's restart waits for a core that would be lost
	// otherwise, because the spool has no room.
	unspooledWait = 30 * time.Second

	// connectWait and answerWait bound an attempt at an endpoint that is dead or
	// silent, not one that takes the core slowly.
	connectWait = 2 * time.Second
	answerWait  = 10 * time.Second
)

// destination sets where cores go, and in what form. An unusable directory does
// not prevent the program from running: the error goes into the first report.
// The returned function waits a moment for notifications.
func (f *runFlags) destination(config *supervise.Config) (closeNotifier func(), err error) {
	closeNotifier = func() {}
	form, err := f.form()
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	if f.dir == "" {
		f.dir = defaultDir()
	}
	if f.to == "" {
		f.to = os.Getenv(toVariable)
	}
	// A presigned URL is a secret, which the program must not see.
	config.Env = slices.DeleteFunc(config.Env, func(kv string) bool { return strings.HasPrefix(kv, toVariable+"=") })
	config.OutputTaken = f.to == stdoutName
	s, unusable := store.Open(f.dir, f.policy)
	if unusable != nil {
		config.Place = func() (string, error) { return f.dir, unusable }
		config.Sink = func(supervise.Core) (string, error) { return "", unusable }
		return closeNotifier, nil //nolint:nilerr // each core reports the error
	}
	config.Limits, config.History = s.Admit, s
	config.Socket = s.Dir()
	ctx, interrupt := context.WithCancel(context.Background())
	config.Interrupt = interrupt
	notifier, err := f.notifier(config)
	if err != nil {
		return nil, err
	}
	if notifier != nil {
		closeNotifier = func() { notifier.Close(f.notifyEnd) }
	}
	send, where, err := f.sender(ctx, s, config)
	if err != nil {
		return nil, err
	}
	if len(form.Recipients) == 0 && inTheClear(f.to) {
		remark(config.Report, "--to sends cores over plain HTTP, so anyone on the network can read them: use https, or encrypt them with --recipient")
	}
	config.Place = func() (string, error) { return f.place(s, where) }
	config.Sink = func(c supervise.Core) (string, error) {
		core := deliver.Core{Name: c.Name() + c.Suffix, Program: c.Program, PID: c.PID, Reason: c.Reason, Size: c.Size, Write: c.Write}
		if c.Suffix == "" {
			core = core.Apply(form)
		}
		where, err := send(core)
		var undelivered *corefile.UndeliveredError
		if errors.As(err, &undelivered) {
			where = undelivered.Path
		}
		if f.message != "" {
			// Values that are encrypted in the core must not be in the node's log.
			values := len(form.Recipients) == 0 && c.Suffix == "" || f.messageValues
			if merr := writeMessage(f.message, c, where, values); merr != nil {
				config.Report.Report(supervise.Event{Time: time.Now(), What: supervise.Note, Program: c.Program, PID: c.PID, Text: merr.Error()})
			}
		}
		if notifier != nil {
			values := len(form.Recipients) == 0 && c.Suffix == "" || f.notifyValues
			if body, merr := f.notification(c, where, err, values); merr == nil {
				notifier.Put(core.Name, body)
			}
		}
		return where, err
	}
	return closeNotifier, nil
}

// inTheClear reports whether cores that go to a destination leave this machine
// unencrypted. Loopback addresses are on this machine.
func inTheClear(to string) bool {
	if strings.HasPrefix(to, s3Scheme) {
		bucket, err := deliver.NewBucket(to, nil)
		if err != nil {
			return false
		}
		to = bucket.Endpoint()
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback())
}

// place describes where cores go, and whether there is room.
func (f *runFlags) place(s *store.Store, where string) (string, error) {
	if where == "" {
		where = s.Dir()
	}
	if mode := s.GroupOrWorldAccessible(); mode != 0 {
		where += fmt.Sprintf(" (%s has mode %04o)", s.Dir(), mode)
	}
	free, err := s.Free()
	if err == nil && f.policy.MinFreeBytes > 0 && free < f.policy.MinFreeBytes {
		err = fmt.Errorf("%s are free in %s; --free keeps %s free", bytesize.Short(uint64(free)), s.Dir(), bytesize.Short(uint64(f.policy.MinFreeBytes)))
	}
	return where, err
}

// sender returns a function that delivers a core and returns its destination.
func (f *runFlags) sender(ctx context.Context, s *store.Store, config *supervise.Config) (send func(deliver.Core) (string, error), where string, err error) {
	switch line, isCommand := strings.CutPrefix(f.to, "exec:"); {
	case f.to == "":
		return func(c deliver.Core) (string, error) { return s.Write(c.Name, c.Size, c.Write) }, "", nil
	case f.to == stdoutName:
		return func(c deliver.Core) (string, error) { return stdoutName, c.Write(os.Stdout) }, "standard output", nil
	case isCommand: // no error has the value of --to, which may contain secrets
		words, err := deliver.Words(line)
		if err != nil {
			return nil, "", fmt.Errorf("run: --to: %w", err)
		}
		if _, err := exec.LookPath(words[0]); err != nil {
			return nil, "", fmt.Errorf("run: --to: %w", err)
		}
		return func(c deliver.Core) (string, error) {
			wait := commandWait
			if f.toWait != 0 {
				wait = f.toWait
			}
			ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("killed after %v: raise --to-wait", wait))
			defer cancel()
			err := deliver.Command(ctx, words, config.Env, c)
			if err == nil {
				return "exec", nil
			}
			// Keep the core that the command did not accept.
			path, kept := s.Write(c.Name, c.Size, c.Write)
			if kept != nil {
				return "", errors.Join(err, kept)
			}
			return "", &corefile.UndeliveredError{Err: err, Path: path}
		}, "a command", nil
	case strings.HasPrefix(f.to, "https://"), strings.HasPrefix(f.to, "http://"):
		put := &deliver.Put{URL: f.to, Client: &http.Client{Transport: transport()}}
		send, err = f.courier(ctx, put, config)
		return send, "a URL", err
	case strings.HasPrefix(f.to, s3Scheme):
		bucket, err := deliver.NewBucket(f.to, transport())
		if err != nil {
			return nil, "", fmt.Errorf("run: --to: %w", err)
		}
		send, err = f.courier(ctx, bucket, config)
		return send, strings.TrimSuffix(bucket.Where("."), "/."), err
	}
	return nil, "", errors.New("run: --to: want -, exec:COMMAND, s3://BUCKET/PREFIX, or a URL that begins with https:// or http://")
}

const s3Scheme = "s3://"

// courier starts to send the cores that wait, and returns a function that sends
// another one. The spool is in the directory of cores, within the same limits.
func (f *runFlags) courier(ctx context.Context, sender deliver.Sender, config *supervise.Config) (func(deliver.Core) (string, error), error) {
	spool, err := store.Open(corefile.Spool(f.dir), f.policy)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	wait, unspooled := f.waits()
	c := &deliver.Courier{
		Sender: sender, Spool: spool.Write, Waiting: spool.Dir(), Wait: wait, Attempt: uploadWait, Unspooled: unspooled, Pauses: deliver.DefaultPauses(),
		Note: func(text string) { remark(config.Report, text) },
	}
	c.Start(ctx)
	return c.Put, nil
}

// waits returns how long a restart waits for a server: if the spool has the core, and if
// it has no room.
func (f *runFlags) waits() (spooled, unspooled time.Duration) {
	if f.toWait != 0 {
		return f.toWait, f.toWait
	}
	return toWait, unspooledWait
}

// transport returns a transport that gives a dead endpoint up.
func transport() *http.Transport {
	provideRoots()
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: connectWait}).DialContext
	t.ResponseHeaderTimeout = answerWait
	return t
}
