//go:build linux

// Package store keeps cores in a directory: no incomplete file under a final
// name, no access for other users, bounds on number, size and age, some space
// left free on the disk, and no flood if a program crashes at every start.
// Limits are stored in the directory, so they survive restarts and apply to all
// supervisors that share it.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// A Policy limits what is stored. Zero means no limit.
type Policy struct {
	Keep         int           // cores
	KeepBytes    int64         // on disk, all cores together
	KeepAge      time.Duration // since a core was written
	MinFreeBytes int64         // bytes that stay free on the file system

	Each Limit // for one program and reason
	All  Limit // for one program
	Loop int   // for one program and reason in a crash loop
}

// A Limit is a maximum number in a period.
type Limit struct {
	Count int
	Per   time.Duration
}

// DefaultPolicy is a supervisor's default.
func DefaultPolicy() Policy {
	return Policy{
		Keep: 20, KeepBytes: 2 << 30, KeepAge: 30 * 24 * time.Hour, MinFreeBytes: 256 << 20,
		Each: Limit{3, 10 * time.Minute}, All: Limit{20, time.Hour}, Loop: 3,
	}
}

// A Store is a directory of cores.
type Store struct {
	dir      string
	policy   Policy
	now      func() time.Time
	patience time.Duration
}

// Files of ours in the directory that are not cores.
const (
	limitsFile = ".limits.json"
	lockFile   = ".lock"
	missedFile = ".missed"
	partial    = ".partial-" // and random digits, after a name that begins with a dot
)

// maxLimits is far more than the limits of the programs on one host.
const maxLimits = 16 << 20

// stale is the age after which a partial file is considered abandoned. Its
// writer may be in another PID namespace, so its PID would not help.
const stale = time.Hour

// Open creates the directory if necessary, for this user only.
func Open(dir string, policy Policy) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s := &Store{dir: abs, policy: policy, now: time.Now, patience: patience}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return s, nil
}

// prepare also runs before each write: a clean-up may have removed the
// directory.
func (s *Store) prepare() error {
	if err := os.MkdirAll(filepath.Dir(s.dir), 0o755); err != nil {
		return fmt.Errorf("making the store: %w", err)
	}
	err := os.Mkdir(s.dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the store: %w", err)
	}
	fi, err := os.Stat(s.dir)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("opening the store: %s is not a directory", s.dir)
	}
	return nil
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

// GroupOrWorldAccessible returns the permissions of the directory if users other than its owner
// have any, else 0. Such a directory is still used, because it may be shared on
// purpose; only the owner can read the cores in it.
func (s *Store) GroupOrWorldAccessible() fs.FileMode {
	fi, err := os.Stat(s.dir)
	if err != nil || fi.Mode().Perm()&0o077 == 0 {
		return 0
	}
	return fi.Mode().Perm()
}

// A RefusedError reports that the policy does not allow another core.
type RefusedError struct {
	Why   string
	Until time.Time // when to try again, zero if unknown
}

func (r *RefusedError) Error() string {
	if r.Until.IsZero() {
		return r.Why
	}
	return r.Why + ", next one after " + r.Until.UTC().Format(time.TimeOnly) + " UTC"
}

// A history is the record of one program's captures, by reason.
type history struct {
	Taken      map[string][]time.Time `json:"taken"`
	Suppressed map[string]int         `json:"suppressed,omitempty"`
}

// Admit checks whether a core of this program may be captured for this reason
// now, and counts it. It returns how many were refused since the last one, or a
// *RefusedError: also if others keep the limits locked, because then many
// programs use the store at once. If the directory cannot be written to, it
// returns that error, and nothing is limited.
func (s *Store) Admit(program, reason string) (suppressed int, err error) {
	err = s.update(func(all map[string]*history) error {
		h := historyOf(all, program)
		now := s.now()
		until := s.policy.Each.next(h.Taken[reason], now)
		if u := s.policy.All.next(slices.Concat(values(h.Taken)...), now); u.After(until) {
			until = u
		}
		if until.After(now) {
			h.Suppressed[reason]++
			return &RefusedError{Why: fmt.Sprintf("rate limit for %s reached (%s; %s in all)", reason, s.policy.Each, s.policy.All), Until: until}
		}
		h.Taken[reason] = append(h.Taken[reason], now)
		suppressed = h.Suppressed[reason]
		delete(h.Suppressed, reason)
		return nil
	})
	if errors.Is(err, errLocked) {
		err = errors.Join(&RefusedError{Why: err.Error()}, s.countMissed(program, reason))
	}
	return suppressed, err
}

func historyOf(all map[string]*history, program string) *history {
	h := all[program]
	if h == nil {
		h = &history{}
		all[program] = h
	}
	if h.Taken == nil {
		h.Taken = map[string][]time.Time{}
	}
	if h.Suppressed == nil {
		h.Suppressed = map[string]int{}
	}
	return h
}

func (l Limit) String() string {
	if l.Count <= 0 {
		return "unlimited"
	}
	return fmt.Sprintf("%d in %v", l.Count, l.Per)
}

// next returns when one more is allowed. A time in the future was written
// before the clock was set back: it counts as now, so that it ages.
func (l Limit) next(taken []time.Time, now time.Time) time.Time {
	if l.Count <= 0 || l.Per <= 0 {
		return time.Time{}
	}
	var recent []time.Time
	for _, t := range taken {
		if t.After(now) {
			t = now
		}
		if now.Sub(t) < l.Per {
			recent = append(recent, t)
		}
	}
	if len(recent) < l.Count {
		return time.Time{}
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent[len(recent)-l.Count].Add(l.Per)
}

func values(m map[string][]time.Time) [][]time.Time {
	var vs [][]time.Time
	for _, v := range m {
		vs = append(vs, v)
	}
	return vs
}

// update changes the limits file under a lock that other processes respect.
func (s *Store) update(change func(map[string]*history) error) error {
	return s.locked(s.patience, func() error { return s.updateLocked(change) })
}

func (s *Store) updateLocked(change func(map[string]*history) error) error {
	path := filepath.Join(s.dir, limitsFile)
	all := map[string]*history{}
	if data, err := plainfile.Read(path, maxLimits); err == nil {
		// Unreadable limits do not apply: the file is written again.
		if json.Unmarshal(data, &all) != nil || all == nil {
			all = map[string]*history{}
		}
	}
	now := s.now()
	for program, h := range all {
		if h == nil || !h.prune(now, max(s.policy.Each.Per, s.policy.All.Per)) {
			delete(all, program)
		}
	}
	s.addMissed(all)
	result := change(all)
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("writing the limits: %w", err)
	}
	if err := plainfile.Replace(path, limitsFile+partial, data); err != nil {
		return errors.Join(result, fmt.Errorf("writing the limits: %w", err))
	}
	return result
}

// patience is how long a supervisor waits for the limits: its program is dead,
// and is not restarted before that. The holder of the lock may be stopped.
const patience = 5 * time.Second

// errLocked is the error after that time.
var errLocked = fmt.Errorf("the limits are locked by others for %v", patience)

// flock waits for the lock. The pauses are random, so that many waiters spread
// out.
func (s *Store) flock(f *os.File, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond + rand.N(10*time.Millisecond)) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("lock the limits: %w", err)
		case time.Now().After(end):
			return errLocked
		}
	}
}

// prune drops entries that limits no longer need and reports whether any is
// left.
func (h *history) prune(now time.Time, per time.Duration) bool {
	for reason, taken := range h.Taken {
		for i, t := range taken {
			if t.After(now) {
				taken[i] = now
			}
		}
		taken = slices.DeleteFunc(taken, func(t time.Time) bool { return now.Sub(t) >= per })
		if h.Taken[reason] = taken; len(taken) == 0 {
			delete(h.Taken, reason)
		}
	}
	return len(h.Taken)+len(h.Suppressed) > 0
}
