//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/supervise/crashsocket"
	"github.com/meminspect/meminspect/internal/supervise/live"
)

// An image is the program that a process runs until it ends or replaces itself
// by exec.
type image struct {
	name   string // for records and file names
	exe    string // the kernel's path of the executable, "" if unknown
	socket *crashsocket.Socket
	view   *view
	stale  bool // it had ended before its view was opened, which may show the next one

	givenAway sync.Once // reports it
}

// imageOf returns the current image of the process. Its name is that of the
// executable.
func imageOf(pid int, socket *crashsocket.Socket) *image {
	i := &image{exe: exeOf(pid), socket: socket}
	i.name = filepath.Base(strings.TrimSuffix(i.exe, " (deleted)"))
	if i.exe == "" {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		i.name = strings.TrimSpace(string(comm))
	}
	i.view, _ = openView(pid)
	i.stale = socket.HungUp()
	return i
}

func exeOf(pid int) string {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return exe
}

// replaced reports whether the process now runs another program.
func (i *image) replaced() bool { return i.stale || i.view.replaced() }

// close closes the files of the image. Its process no longer blocks.
func (i *image) close() {
	if i.socket != nil {
		i.socket.Close()
	}
	i.view.close()
}

// A view reads a program's anchor and runtime. All methods may be called for an
// unreadable program, and from any goroutine.
type view struct {
	mu       sync.Mutex
	program  *live.Program  // nil if it cannot be read
	running  *process.Image // nil if it cannot be read
	anchored bool           // it embeds the runtime
}

// openView opens the program that the process runs. It always returns a view.
// The error is the reason why the program cannot be read, or
// [live.ErrNoAnchor].
func openView(pid int) (*view, error) {
	program, err := live.Open(pid)
	if err != nil {
		return &view{}, err
	}
	v := &view{program: program}
	if p, err := process.Open(pid); err == nil {
		v.running, _ = p.Image()
	}
	err = program.Find()
	v.anchored = err == nil
	return v, err
}

func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program != nil {
		v.program.Close()
	}
	if v.running != nil {
		v.running.Close()
	}
	v.program, v.running, v.anchored = nil, nil, false
}

// replaced reports whether the process now runs another program.
func (v *view) replaced() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.running != nil && errors.Is(v.running.Check(), process.ErrReplaced)
}

// readable reports whether the program's memory exists and can be read. A
// program without an anchor counts as readable.
func (v *view) readable() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.anchored {
		return true
	}
	_, _, err := v.program.Snapshots()
	return err == nil
}

// asked returns how many snapshots the program has requested, and the reason of
// the latest request.
func (v *view) asked() (count uint64, reason string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.anchored {
		return 0, "", nil
	}
	return v.program.Snapshots()
}

func (v *view) beats() []tables.Heartbeat {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.anchored {
		return nil
	}
	beats, err := v.program.Heartbeats()
	if err != nil {
		return nil
	}
	return beats
}

// findMemoryLimit makes memoryLimit read the limit, if it can be found.
func (v *view) findMemoryLimit() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program != nil {
		_ = v.program.FindMemoryLimit() // memoryLimit then fails
	}
}

// memoryLimit reads the program's current runtime memory limit.
func (v *view) memoryLimit() (int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program == nil {
		return 0, live.ErrNoAnchor
	}
	return v.program.MemoryLimit()
}

// paused reports whether the program cannot run because it was stopped.
func (v *view) paused() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.program != nil && v.program.Paused()
}

// backlog returns the runtime's printed text of a fatal error.
func (v *view) backlog() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program == nil {
		return nil
	}
	return v.program.Backlog()
}

// writer returns the thread that blocks in the crash socket, 0 if unknown.
func (v *view) writer(socket *crashsocket.Socket) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program == nil || socket == nil {
		return 0
	}
	// The report's first write wakes us, a later one blocks: the thread may not
	// have reached that yet.
	for range 20 {
		if id := v.program.Writer(socket.Inode()); id != 0 {
			return id
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}
