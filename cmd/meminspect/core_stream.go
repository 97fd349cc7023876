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
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
)

// A stream is the kernel's own core on standard input, of a process that could
// not be captured.
type stream struct {
	f     *runFlags
	pipe  io.Reader // standard input
	stdin io.Reader // what can still be read, including what was already read
	pid   int
	keep  bool // store the complete core if it cannot be filtered
	spool *corefile.File
	lost  error // why the part that was already read is lost
}

// head reads the head of the core: the kernel's record of the threads. It waits
// no longer than the slowest kernel takes, because standard input may be a
// user's terminal.
func (s *stream) head() (*fullcore.Head, error) {
	in := s.stdin
	if file, ok := in.(*os.File); ok {
		in = &prompt{file, time.Now().Add(headPatience)}
	}
	head, read, err := fullcore.ReadHead(in)
	s.stdin = io.MultiReader(bytes.NewReader(read), s.stdin)
	return head, err
}

// headPatience allows for a kernel that writes tens of thousands of threads'
// state on a busy machine.
const headPatience = 10 * time.Second

// A prompt is a file that is read until a deadline.
type prompt struct {
	*os.File
	until time.Time
}

// Read implements io.Reader.
func (p *prompt) Read(b []byte) (int, error) {
	for {
		left := max(time.Until(p.until), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.Fd()), Events: unix.POLLIN}}, int(left.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for standard input: %w", err)
		case n == 0:
			return 0, fmt.Errorf("standard input: %w", os.ErrDeadlineExceeded)
		default:
			return p.File.Read(b)
		}
	}
}

// fallBack filters the kernel's core if the process could not be read, and
// otherwise writes a stub. cause is the reason why it was not captured. The
// error explains why there is neither or, if cores are kept, no filtered one.
func (s *stream) fallBack(ctx context.Context, opts capture.Options, cause error) (*capture.Core, error) {
	// The process ends when its core has been read: first save what only the
	// process has.
	var stub *capture.Core
	stubErr := cause
	if !s.keep {
		if stub, stubErr = capture.WriteStub(s.pid, opts, cause); stubErr != nil {
			stubErr = errors.Join(cause, stubErr)
		}
	}
	var hole *memory.UnreadableError
	if errors.Is(cause, capture.ErrNotGo) && !errors.As(cause, &hole) {
		return stub, stubErr // its core would contain no more
	}
	c, err := s.filter(ctx, opts, cause)
	if err == nil {
		return c, nil
	}
	if stub != nil {
		return stub, nil
	}
	return nil, errors.Join(stubErr, err)
}

// filter makes the core that a capture would have made from the kernel's core.
func (s *stream) filter(ctx context.Context, opts capture.Options, cause error) (*capture.Core, error) {
	o := fullcore.Options{When: time.Now()}
	if exe, err := os.Open(filepath.Join(process.Dir(s.pid), "exe")); err == nil {
		defer exe.Close()
		o.Exe = fmt.Sprintf("/proc/self/fd/%d", exe.Fd())
	}
	room, err := s.room()
	if err != nil {
		return nil, err
	}
	if s.spool, err = corefile.Read(s.stdin, corefile.OpenOptions{Dir: s.f.dir, Room: room}); err != nil {
		s.lost = err
		return nil, err
	}
	full, err := fullcore.New(s.spool, s.spool.Size, o)
	if err != nil {
		return nil, fmt.Errorf("the kernel's core: %w", err)
	}
	defer full.Close()
	full.Mentions = append(full.Mentions, fmt.Sprintf("made from the kernel's core, since the process could not be captured: %v", cause))
	return capture.Filter(ctx, full, opts)
}

// release lets the kernel continue, and so the process: the rest is not needed.
// The core may take a while on its way to a bucket.
func (s *stream) release() {
	if file, ok := s.pipe.(io.Closer); ok {
		file.Close()
	}
}

// maxKernelCore bounds the temporary copy of the kernel's core.
const maxKernelCore = 16 << 30

// room returns how much of the disk the kernel's core may use temporarily.
func (s *stream) room() (int64, error) {
	dir, err := store.Open(s.f.dir, s.f.policy)
	if err != nil {
		return 0, err
	}
	free, err := dir.Free()
	if err != nil {
		return 0, err
	}
	if free -= s.f.policy.MinFreeBytes; free <= 0 {
		return 0, fmt.Errorf("no room in %s to look at the kernel's core", dir.Dir())
	}
	return min(free, maxKernelCore), nil
}

// write writes the kernel's core: the spooled part, and the rest.
func (s *stream) write(w io.Writer) error {
	switch {
	case s.lost != nil:
		return s.lost
	case s.spool != nil:
		if _, err := io.Copy(w, io.NewSectionReader(s.spool, 0, s.spool.Size)); err != nil {
			return err
		}
	}
	_, err := io.Copy(w, s.stdin)
	return err
}

func (s *stream) close() {
	if s.spool != nil {
		s.spool.Close()
	}
}
