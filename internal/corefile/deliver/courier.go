//go:build linux

package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// A Sender sends a core to a server.
type Sender interface {
	// Send makes one attempt, and reports whether another one may succeed.
	Send(ctx context.Context, core *os.File, name string, size int64) (again bool, err error)

	// Where returns the place of a core that was sent.
	Where(name string) string

	// OneObject reports whether each core replaces the one before.
	OneObject() bool
}

// A Courier sends cores out of the way of the program: each core is stored in a
// spool first, and sent by a goroutine, again and again until it is delivered or
// the courier is closed. Then it stays in the spool, and the courier of the next
// start sends it.
type Courier struct {
	Sender Sender

	// Spool stores a core until it is delivered, and returns its path; Waiting is
	// the folder that it stores in.
	Spool   func(name string, size int64, write func(io.Writer) error) (path string, err error)
	Waiting string

	// Wait is how long Put waits for the delivery.
	Wait time.Duration

	// Attempt bounds each attempt to send a core of the spool.
	Attempt time.Duration

	// Unspooled is how long Put waits for a core that the spool has no room for: it has
	// one attempt, and is lost then.
	Unspooled time.Duration

	// Pauses are the times between attempts, each varied at random; the last one
	// repeats.
	Pauses []time.Duration

	// Note, if not nil, is called with what happened to a core after Put returned.
	Note func(string)

	ctx      context.Context
	cancel   context.CancelFunc
	caughtUp chan struct{} // closed after an attempt for each core of earlier starts
}

// DefaultPauses back off up to a minute.
func DefaultPauses() []time.Duration {
	return []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
}

// maxUnspooled bounds a core that is sent from memory because the spool has no
// room.
const maxUnspooled = 64 << 20

// Start begins to send the cores that wait in the spool. After ctx is done, or
// Close is called, nothing is sent.
func (c *Courier) Start(ctx context.Context) {
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.caughtUp = make(chan struct{})
	if c.Sender.OneObject() {
		close(c.caughtUp)
		return // the newest core is there already
	}
	older := c.waiting() // before Put adds others
	go func() {
		left := c.sendEach(older)
		close(c.caughtUp)
		for n := 0; len(left) > 0 && c.pause(n); n++ {
			left = c.sendEach(left)
		}
	}()
}

// sendEach makes one attempt for each file of the spool, so that none keeps the others
// from being sent. It returns those to be tried again.
func (c *Courier) sendEach(paths []string) []string {
	return slices.DeleteFunc(paths, func(path string) bool {
		if c.ctx.Err() != nil {
			return true // it stays in the spool
		}
		again, err := c.sendFile(path)
		return err == nil || !again
	})
}

// Close interrupts what is being sent.
func (c *Courier) Close() { c.cancel() }

// Put stores a core and begins to send it. It returns where the core is after its
// delivery and an attempt for each older one, or after c.Wait. If the core is not
// delivered, the error is a [corefile.UndeliveredError] if it waits in the spool.
func (c *Courier) Put(core Core) (where string, err error) {
	path, err := c.Spool(core.Name, core.Size, core.Write)
	if err != nil {
		return c.unspooled(core, err)
	}
	var d delivery
	over := make(chan struct{})
	go func() {
		err := c.untilSent(path, &d)
		noticed := d.finish(err)
		close(over)
		if !noticed {
			c.noteLate(core.Name, path, err)
		}
	}()
	timer := time.NewTimer(c.Wait)
	defer timer.Stop()
	var unfinished error
	select {
	case <-over:
	case <-timer.C:
		unfinished = fmt.Errorf("upload: not finished after %v", c.Wait)
	case <-c.ctx.Done():
		unfinished = errInterrupted
	}
	switch finished, err := d.leave(); {
	case finished && err == nil:
		select { // the endpoint works: the rest of the time is for older cores
		case <-c.caughtUp:
		case <-timer.C:
		case <-c.ctx.Done():
		}
		return c.Sender.Where(core.Name), nil
	case finished && errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("upload: %s no longer exists: another supervisor has sent it, or it was removed to make room", path)
	case err != nil: // of the last attempt
		return "", &corefile.UndeliveredError{Err: err, Path: path, Waits: true}
	default:
		return "", &corefile.UndeliveredError{Err: unfinished, Path: path, Waits: true}
	}
}

// A delivery is the state of the delivery of a core.
type delivery struct {
	mu       sync.Mutex
	finished bool
	left     bool  // Put has returned
	err      error // of the last attempt
}

func (d *delivery) failed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// finish records the outcome, and reports whether Put returns it.
func (d *delivery) finish(err error) (noticed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finished, d.err = true, err
	return !d.left
}

// leave returns whether the delivery is finished, and the last error.
func (d *delivery) leave() (finished bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = true
	return d.finished, d.err
}

// noteLate reports the outcome of a delivery after Put returned.
func (c *Courier) noteLate(name, path string, err error) {
	switch {
	case c.Note == nil || errors.Is(err, fs.ErrNotExist) || c.ctx.Err() != nil && err != nil:
	case err != nil:
		c.Note((&corefile.UndeliveredError{Err: err, Path: path, Waits: true}).Error())
	default:
		c.Note(name + " was delivered")
	}
}

// unspooled sends a core from memory, because the spool has no room: once.
func (c *Courier) unspooled(core Core, cause error) (where string, err error) {
	cause = fmt.Errorf("spooling: %w", cause)
	if core.Size <= 0 || core.Size > maxUnspooled {
		return "", cause
	}
	f, err := corefile.InMemory("core")
	if err != nil {
		return "", errors.Join(cause, err)
	}
	defer f.Close()
	if err := core.Write(f); err != nil {
		return "", errors.Join(cause, err)
	}
	_, err = c.attempt(c.Unspooled, f, core.Name)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: raise --to-wait", err)
	}
	if err != nil {
		return "", fmt.Errorf("%w; %w; the core is lost", cause, err)
	}
	return c.Sender.Where(core.Name), nil
}

var errInterrupted = errors.New("upload: interrupted")

// untilSent sends a file of the spool and removes it. It returns the error of an
// attempt that need not be repeated, or the last one when the courier is closed.
func (c *Courier) untilSent(path string, d *delivery) error {
	for n := 0; ; n++ {
		again, err := c.sendFile(path)
		if err == nil || !again {
			return err
		}
		if c.ctx.Err() == nil || n == 0 {
			d.failed(err)
		}
		if !c.pause(n) {
			return err
		}
	}
}

// pause waits after attempt n, and reports whether there is another one.
func (c *Courier) pause(n int) bool {
	pause := c.Pauses[min(n, len(c.Pauses)-1)]
	select {
	case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // spreads attempts
		return true
	case <-c.ctx.Done():
		return false
	}
}

// sendFile makes one attempt to send a file of the spool.
func (c *Courier) sendFile(path string) (again bool, err error) {
	f, err := plainfile.Open(path) // others may write to the folder
	if err != nil {
		return false, fmt.Errorf("upload: %w", err)
	}
	defer f.Close()
	// One supervisor sends it.
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return true, errors.New("upload: another supervisor sends it")
	}
	if _, err := os.Lstat(path); err != nil { // it was sent in between
		return false, fmt.Errorf("upload: %w", err)
	}
	if again, err = c.attempt(c.Attempt, f, filepath.Base(path)); err != nil {
		return again, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("upload: it was sent, and stays: %w", err)
	}
	return false, nil
}

// attempt sends a core once, within a time.
func (c *Courier) attempt(within time.Duration, f *os.File, name string) (again bool, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, fmt.Errorf("upload: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("upload: %w", err)
	}
	ctx, cancel := context.WithTimeout(c.ctx, within)
	defer cancel()
	again, err = c.Sender.Send(ctx, f, name, info.Size())
	switch {
	case err == nil:
		return false, nil
	case c.ctx.Err() != nil:
		return true, errInterrupted
	case ctx.Err() != nil:
		return true, fmt.Errorf("upload: not finished within %v: %w", within, ctx.Err())
	}
	return again, err
}

// waiting returns the cores in the spool, without those that are being written.
func (c *Courier) waiting() []string {
	paths, err := filepath.Glob(filepath.Join(c.Waiting, "*.core*"))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(paths, func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") })
}
