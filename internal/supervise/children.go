//go:build linux

package supervise

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/internal/crashtext"
	"github.com/meminspect/meminspect/internal/supervise/child"
	"github.com/meminspect/meminspect/internal/supervise/crashsocket"
)

// Children selects what happens at the crash of a process that the program
// started, directly or not, and that embeds the runtime.
type Children uint8

const (
	CaptureChildren Children = iota // capture it under its own name
	ReportChildren                  // report it, without a core
	IgnoreChildren
)

// Limits of a family.
const (
	maxChildren = 1000 // watched at a time
	maxCaptures = 4    // of children, at a time
)

// A family is the set of registered processes that the program started.
type family struct {
	mu      sync.Mutex
	members map[*Supervisor]*crashsocket.Registered
	crashed bool           // at least one has crashed
	full    bool           // it was reported that there are too many
	living  sync.WaitGroup // the goroutines that watch members
	slots   chan struct{}  // taken by captures
}

func newFamily() *family {
	return &family{members: map[*Supervisor]*crashsocket.Registered{}, slots: make(chan struct{}, maxCaptures)}
}

// register handles programs as they register, until the channel is closed.
func (s *Supervisor) register() {
	s.channel.Look = s.asksToLook
	for {
		r, err := s.channel.Accept()
		if err != nil {
			return
		}
		s.registered(r)
	}
}

func (s *Supervisor) registered(r *crashsocket.Registered) {
	switch {
	case r.PID == s.child.PID:
		s.adopt(r)
	case s.config.Children == IgnoreChildren:
		r.Close()
	default:
		s.follow(r)
	}
}

// adopt handles the registration of the started program: when it starts, and
// again when it has replaced itself by exec.
func (s *Supervisor) adopt(r *crashsocket.Registered) {
	old := s.image.Load()
	var now *image
	if old.socket == nil && old.exe == exeOf(r.PID) && !old.view.replaced() {
		now = &image{name: old.name, exe: old.exe, socket: r.Socket, view: old.view}
	} else {
		now = imageOf(r.PID, r.Socket)
		if now.exe == old.exe {
			now.name = old.name
		}
		defer old.close()
		if s.config.MemoryShare > 0 {
			now.view.findMemoryLimit()
		}
		s.gauge.Replaced()
	}
	s.image.Store(now)
	s.working.Go(func() { s.watchSocket(now) })
}

// follow watches another process until it or the supervisor ends.
func (s *Supervisor) follow(r *crashsocket.Registered) {
	config := s.config
	config.ExitStop, config.MemoryShare, config.Snapshot, config.Keeper, config.Socket, config.Signal = false, 0, 0, nil, "", 0
	d := &Supervisor{config: config, who: s.who, parent: s, child: child.Other(r.PID), family: s.family, gone: make(chan struct{}), looks: make(chan struct{}, 1)}
	d.image.Store(imageOf(r.PID, r.Socket))
	if !r.Alive() || !s.family.add(d, r) {
		d.image.Load().close()
		r.Close()
		return
	}
	s.family.living.Go(func() {
		defer r.Close()
		defer s.family.remove(d)
		d.working.Go(d.watch)
		d.watchSocket(d.image.Load())
		close(d.gone)
		d.working.Wait()
		d.image.Load().close()
	})
}

// add reports false if there is no room for another member.
func (f *family) add(d *Supervisor, r *crashsocket.Registered) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.members) < maxChildren {
		f.members[d] = r
		return true
	}
	if !f.full {
		f.full = true
		d.report(Event{What: Note, Text: fmt.Sprintf("%d processes are watched already; further ones are not captured", maxChildren)})
	}
	return false
}

// member returns the member that watches a process, or nil.
func (f *family) member(pid int) *Supervisor {
	f.mu.Lock()
	defer f.mu.Unlock()
	for d := range f.members {
		if d.child.PID == pid {
			return d
		}
	}
	return nil
}

func (f *family) remove(d *Supervisor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, d)
}

// lost records that a member crashed.
func (f *family) lost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
}

// blameless reports whether the program's failing exit status may be that of a
// child that has a core: a shell exits with the status of its command.
func (s *Supervisor) blameless() bool {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return s.parent == nil && s.family.crashed && !s.image.Load().view.anchored
}

// leave releases the members that outlive the program, and names these
// processes. Members that are in their report are captured first.
func (s *Supervisor) leave(registering <-chan struct{}) {
	s.channel.Stop()
	<-registering
	for r := s.channel.Pending(); r != nil; r = s.channel.Pending() {
		s.registered(r)
	}
	left := map[int]string{}
	if s.channel.Inherited() && s.config.Children != IgnoreChildren {
		left = holders(s.inode)
	}
	s.channel.Close()
	s.family.mu.Lock()
	for d, r := range s.family.members {
		if r.Socket.Pending() {
			continue
		}
		if r.Alive() {
			left[r.PID] = d.image.Load().name
		}
		r.Socket.Close()
	}
	s.family.mu.Unlock()
	s.family.living.Wait()
	delete(left, s.child.PID)
	if len(left) > 0 {
		s.report(Event{What: Note, Text: "processes that it started run on and are no longer captured: " + listed(left)})
	}
}

// holders returns the processes that have the socket with that inode open, by
// their names.
func holders(inode uint64) map[int]string {
	found, want := map[int]string{}, fmt.Sprintf("socket:[%d]", inode)
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != want {
			continue
		}
		dir, _, _ := strings.Cut(strings.TrimPrefix(link, "/proc/"), "/")
		pid, _ := strconv.Atoi(dir)
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		found[pid] = strings.TrimSpace(string(comm))
	}
	return found
}

// listed names at most ten processes, by process ID.
func listed(processes map[int]string) string {
	const most = 10
	var names []string
	for _, pid := range slices.Sorted(maps.Keys(processes)) {
		if len(names) == most {
			names = append(names, fmt.Sprintf("and %d more", len(processes)-most))
			break
		}
		names = append(names, fmt.Sprintf("%s (pid %d)", processes[pid], pid))
	}
	return strings.Join(names, ", ")
}

// reportCrash reports the crash of a child that is not captured.
func (s *Supervisor) reportCrash(i *image) {
	began := time.Now()
	backlog := i.view.backlog()
	text, _, _ := i.socket.Release(maxText, began.Add(textWait))
	report := crashtext.Parse(text, backlog)
	s.report(Event{What: Crashed, Reason: report.Reason, Held: time.Since(began)})
}

// forked captures a process that the program forked without exec, and that
// therefore shares its crash socket.
func (s *Supervisor) forked(pid int, i *image) {
	d := &Supervisor{config: s.config, who: s.who, parent: s, child: child.Other(pid), family: s.family, gone: make(chan struct{})}
	of := imageOf(pid, i.socket)
	defer of.view.close()
	d.image.Store(of)
	d.crashed(of)
}
