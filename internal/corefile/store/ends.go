//go:build linux

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// Files of ours for ends. Each running supervisor has a marker, which it locks:
// one that is not locked was left by a supervisor that was killed.
const (
	endsFile = ".ends.json"
	marker   = ".running-" // and random digits
)

const (
	// LoopTime is the uptime up to which a crash continues a crash loop. Kubernetes
	// resets its back-off after the same time.
	LoopTime = 10 * time.Minute

	maxPrograms = 1000 // with a recorded end

	// A start and an end wait for the lock for a short time only.
	startPatience = 500 * time.Millisecond
	endPatience   = time.Second
)

// Lost is the reason of an end that ended the supervisor too.
const Lost = "lost"

// An End is how a program ended.
type End struct {
	Program   string    `json:"program"`
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
	Time      time.Time `json:"time"` // for [Lost], when it was noticed
	Reason    string    `json:"reason"`
	Status    string    `json:"status,omitempty"` // in a shell's terms
	Crash     bool      `json:"crash,omitempty"`
	Core      string    `json:"core,omitempty"`      // its destination
	Signature string    `json:"signature,omitempty"` // ID and title

	// InRow counts crashes, this one included, each within [LoopTime] of its start,
	// except for the first. LostInRow counts the lost ends among them, which count as
	// crashes although their cause is not known. Cores counts their cores, by reason.
	InRow     int            `json:"inRow,omitempty"`
	LostInRow int            `json:"lostInRow,omitempty"`
	Cores     map[string]int `json:"cores,omitempty"`
}

// Uptime returns how long the program ran.
func (e *End) Uptime() time.Duration { return max(e.Time.Sub(e.Started), 0) }

// CrashesInRow describes the crashes in a row, and how many of them are lost ends.
func (e *End) CrashesInRow() string {
	text := fmt.Sprintf("%d crashes in a row", e.InRow)
	if e.InRow == 1 {
		text = "1 crash"
	}
	switch {
	case e.LostInRow == 1:
		text += ", of which 1 is a lost end whose cause is not known"
	case e.LostInRow > 1:
		text += fmt.Sprintf(", of which %d are lost ends whose cause is not known", e.LostInRow)
	}
	return text
}

// follow sets the counts of an end after the one before, which is nil for the first.
func (e *End) follow(before *End) {
	if !e.Crash {
		return
	}
	e.InRow, e.LostInRow, e.Cores = 1, 0, map[string]int{}
	if e.Reason == Lost {
		e.LostInRow = 1
	}
	if before != nil && before.Crash && e.Uptime() < LoopTime {
		e.InRow += max(before.InRow, 0)
		e.LostInRow += max(before.LostInRow, 0)
		maps.Copy(e.Cores, before.Cores)
	}
	if e.Core != "" {
		e.Cores[e.Reason]++
	}
}

// A Life is one run of a program, from its start to its end.
type Life struct {
	Last *End // the end before, nil for the first life

	store   *Store
	running *os.File // the marker
	start   End
}

// Begin records that a program starts, and returns its life with the end
// before. A supervisor of it that was killed left no end: Begin adds that.
func (s *Store) Begin(program string) (*Life, error) {
	l := &Life{store: s, start: End{Program: program, Started: s.now()}}
	err := s.locked(startPatience, func() error {
		return s.updateEnds(func(all map[string]*End) error {
			for _, e := range s.lostEnds() {
				before := all[e.Program]
				e.follow(before)
				all[e.Program] = &e
			}
			l.Last = all[program]
			var err error
			l.running, err = s.mark(&l.start)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("recording the start: %w", err)
	}
	return l, nil
}

// SetPID records the process, for the case that nothing records its end. A nil
// life does nothing.
func (l *Life) SetPID(pid int) {
	if l != nil {
		l.start.PID = pid
		_ = writeMark(l.running, &l.start) // a lost end then has no process ID
	}
}

// Abandon forgets a start that failed. A nil life does nothing.
func (l *Life) Abandon() {
	if l != nil {
		os.Remove(l.running.Name())
		l.running.Close()
	}
}

// Loop returns a *RefusedError if the program is in a crash loop that has left
// enough cores for this reason: the first ones are kept, not the last.
func (l *Life) Loop(reason string) error {
	limit := l.store.policy.Loop
	now := End{Started: l.start.Started, Time: l.store.now(), Crash: true}
	now.follow(l.Last)
	if limit == 0 || now.Cores[reason] < limit {
		return nil
	}
	return &RefusedError{Why: fmt.Sprintf("crash loop: %s, each within %v of its start; the first %d cores for %s are kept (--limit-loop)", now.CrashesInRow(), LoopTime, limit, reason)}
}

// End records the end, and returns it with the counts.
func (l *Life) End(e End) (End, error) {
	defer l.running.Close()
	e.Program, e.PID, e.Started, e.Time = l.start.Program, l.start.PID, l.start.Started, l.store.now()
	err := l.store.locked(min(l.store.patience, endPatience), func() error {
		return l.store.updateEnds(func(all map[string]*End) error {
			e.follow(all[e.Program])
			all[e.Program] = &e
			os.Remove(l.running.Name())
			return nil
		})
	})
	if err != nil {
		return e, fmt.Errorf("recording the end: %w", err)
	}
	return e, nil
}

// Ends returns the last end of each program in a directory, the latest first.
func Ends(dir string) ([]End, error) {
	all, err := readEnds(dir)
	if err != nil {
		return nil, err
	}
	var ends []End
	for _, e := range all {
		ends = append(ends, *e)
	}
	slices.SortFunc(ends, func(a, b End) int {
		if c := b.Time.Compare(a.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Program, b.Program)
	})
	return ends, nil
}

// Begun reports whether the directory has the mark of a program that runs, or whose
// supervisor was killed.
func Begun(dir, program string) bool {
	paths, err := filepath.Glob(filepath.Join(dir, marker+"*"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(paths, func(path string) bool {
		var e End
		data, err := plainfile.Read(path, maxLimits)
		return err == nil && json.Unmarshal(data, &e) == nil && e.Program == program
	})
}

func readEnds(dir string) (map[string]*End, error) {
	all := map[string]*End{}
	data, err := plainfile.Read(filepath.Join(dir, endsFile), maxLimits)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return all, nil
	case err != nil:
		return nil, fmt.Errorf("reading the ends: %w", err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("reading the ends: %s: %w", filepath.Join(dir, endsFile), err)
	}
	maps.DeleteFunc(all, func(_ string, e *End) bool { return e == nil })
	return all, nil
}

// updateEnds changes the file of ends. The caller has the lock.
func (s *Store) updateEnds(change func(map[string]*End) error) error {
	all, err := readEnds(s.dir)
	if err != nil {
		all = map[string]*End{} // the file is written again
	}
	if err := change(all); err != nil {
		return err
	}
	for len(all) > maxPrograms {
		oldest := slices.MinFunc(slices.Collect(maps.Values(all)), func(a, b *End) int { return a.Time.Compare(b.Time) })
		maps.DeleteFunc(all, func(_ string, e *End) bool { return e == oldest })
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return plainfile.Replace(filepath.Join(s.dir, endsFile), limitsFile+partial, data)
}

// mark makes and locks the marker of a running program.
func (s *Store) mark(start *End) (*os.File, error) {
	f, err := os.CreateTemp(s.dir, marker+"*")
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = writeMark(f, start)
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

func writeMark(f *os.File, start *End) error {
	data, err := json.Marshal(start)
	if err != nil {
		return err
	}
	// It is longer each time: the process ID is added.
	_, err = f.WriteAt(data, 0)
	return err
}

// lostEnds returns the ends of programs whose supervisors were killed, and
// removes their markers. The caller has the lock.
func (s *Store) lostEnds() []End {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil
	}
	var ends []End
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), marker) {
			continue
		}
		if e, ok := s.lostEnd(filepath.Join(s.dir, entry.Name())); ok {
			ends = append(ends, e)
		}
	}
	slices.SortFunc(ends, func(a, b End) int { return a.Started.Compare(b.Started) })
	return ends
}

func (s *Store) lostEnd(path string) (e End, ok bool) {
	f, err := plainfile.Open(path)
	if err != nil {
		return End{}, false
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return End{}, false // it runs
	}
	defer os.Remove(path)
	if json.NewDecoder(f).Decode(&e) != nil || e.Program == "" {
		return End{}, false
	}
	return End{Program: e.Program, PID: e.PID, Started: e.Started, Time: s.now(), Reason: Lost, Crash: true, Core: s.lostCore(&e)}, true
}

// lostCore returns the core that was made of the last snapshot of a process, ""
// if no snapshot was made into a core.
func (s *Store) lostCore(e *End) string {
	cores, err := corefile.List(s.dir)
	if err != nil {
		return ""
	}
	title, _ := corefile.ParseName(corefile.Name(e.Program, e.PID, e.Started, Lost))
	for _, c := range cores {
		if c.Program == title.Program && c.PID == e.PID && c.Reason == Lost && c.When.After(e.Started) {
			return c.Path
		}
	}
	return ""
}

// Locked calls f while no other process that uses the store changes its limits or
// what else f changes. It returns an error, and does not call f, if others keep the lock.
func (s *Store) Locked(f func() error) error { return s.locked(s.patience, f) }

// locked calls f with the lock that other processes respect.
func (s *Store) locked(patience time.Duration, f func() error) error {
	if err := s.prepare(); err != nil {
		return err
	}
	lock, err := plainfile.OpenFile(filepath.Join(s.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the store: %w", err)
	}
	defer lock.Close() // which unlocks
	if err := s.flock(lock, patience); err != nil {
		return err
	}
	return f()
}
