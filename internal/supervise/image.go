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
	exe    string // path of the executable as the kernel has it, "" if unknown
	socket *crashsocket.Socket
	view   *view
	stale  bool // it was gone before its view was opened, which may be of the next

	givenAway sync.Once // its report
}

// imageOf returns what the process runs now. The name is that of its executable.
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

// replaced reports whether the process runs another program by now.
func (i *image) replaced() bool { return i.stale || i.view.replaced() }

// close frees what is open of the image. Its process no longer blocks.
func (i *image) close() {
	if i.socket != nil {
		i.socket.Close()
	}
	i.view.close()
}

// A view is a program's own account of itself. All methods may be called of a
// program that cannot be read, and from any goroutine.
type view struct {
	mu       sync.Mutex
	program  *live.Program  // nil if it cannot be read
	running  *process.Image // nil if it cannot be read
	anchored bool           // it embeds the runtime
}

// openView opens the program that the process runs. The error, with which there
// is a view too, is why it cannot be read, or [live.ErrNoAnchor].
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

// replaced reports whether the process runs another program by now.
func (v *view) replaced() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.running != nil && errors.Is(v.running.Check(), process.ErrReplaced)
}

// readable reports whether the program's memory is there and can be read. One
// that has no anchor is taken to be.
func (v *view) readable() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.anchored {
		return true
	}
	_, _, err := v.program.Snapshots()
	return err == nil
}

// asked returns how many snapshots the program has asked for, and why the last
// one. before is how many it had at the last call.
func (v *view) asked(before uint64) (count uint64, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.anchored {
		return before, ""
	}
	count, reason, err := v.program.Snapshots()
	if err != nil {
		return before, "" // dead, or busy: there is another look soon
	}
	return count, reason
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

// findMemoryLimit reports whether memoryLimit can read one.
func (v *view) findMemoryLimit() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.program != nil && v.program.FindMemoryLimit() == nil
}

// memoryLimit reads the limit that the program's runtime keeps to.
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

// backlog returns what the runtime printed of a fatal error.
func (v *view) backlog() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program == nil {
		return nil
	}
	return v.program.Backlog()
}

// writer returns the thread that is held in the crash socket, 0 if that cannot
// be seen.
func (v *view) writer(socket *crashsocket.Socket) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.program == nil || socket == nil {
		return 0
	}
	// The report's first write wakes us, a later one blocks: the thread may not
	// be there yet.
	for range 20 {
		if id := v.program.Writer(socket.Inode()); id != 0 {
			return id
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}
