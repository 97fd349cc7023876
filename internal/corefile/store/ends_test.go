//go:build linux

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/corefile"
)

func begin(t *testing.T, s *Store, program string) *Life {
	t.Helper()
	l, err := s.Begin(program)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func end(t *testing.T, l *Life, e End) End {
	t.Helper()
	recorded, err := l.End(e)
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

// Crashes count in a row until the program ends well, or runs for a time.
func TestInRow(t *testing.T) {
	s, clock := open(t, Policy{Loop: 2})
	for i, c := range []struct {
		runs    time.Duration
		end     End
		refused bool
		inRow   int
	}{
		{time.Hour, End{Reason: "panic", Crash: true}, false, 1},
		{time.Second, End{Reason: "panic", Crash: true}, false, 2},
		{time.Second, End{Reason: "panic", Crash: true}, true, 3},
		{time.Second, End{Reason: "nil", Crash: true}, false, 4}, // another bug
		{LoopTime - 1, End{Reason: "panic", Crash: true}, true, 5},
		{LoopTime, End{Reason: "panic", Crash: true}, false, 1},
		{time.Second, End{Reason: "panic", Crash: true}, false, 2},
		{time.Second, End{Reason: "exit-0"}, false, 0},
		{time.Second, End{Reason: "panic", Crash: true}, false, 1},
	} {
		l := begin(t, s, "shop")
		*clock = clock.Add(c.runs)
		var refused *RefusedError
		if err := l.Loop(c.end.Reason); c.end.Crash && errors.As(err, &refused) != c.refused {
			t.Errorf("end %d: %v", i, err)
		}
		if c.end.Crash && !c.refused {
			c.end.Core = fmt.Sprint("core-", i)
		}
		if e := end(t, l, c.end); e.InRow != c.inRow || e.Uptime() != c.runs {
			t.Errorf("end %d: %+v, want %d in a row", i, e, c.inRow)
		}
		if all, err := Ends(s.dir); err != nil || len(all) != 1 || all[0].InRow != c.inRow || all[0].Core != c.end.Core {
			t.Errorf("end %d is recorded as %+v, %v", i, all, err)
		}
	}
}

// The text of a row counts its lost ends: they may be no crashes.
func TestLostInRow(t *testing.T) {
	var e *End
	for i, c := range []struct{ reason, want string }{
		{Lost, "1 crash, of which 1 is a lost end whose cause is not known"},
		{"panic", "2 crashes in a row, of which 1 is a lost end whose cause is not known"},
		{Lost, "3 crashes in a row, of which 2 are lost ends whose cause is not known"},
	} {
		next := &End{Reason: c.reason, Crash: true}
		next.follow(e)
		if e = next; e.CrashesInRow() != c.want {
			t.Errorf("end %d: %s, want %s", i, e.CrashesInRow(), c.want)
		}
	}
}

// Another program has its own row, and a limit of 0 does not limit cores.
func TestLoopOfOne(t *testing.T) {
	s, clock := open(t, Policy{})
	for range 5 {
		l := begin(t, s, "shop")
		*clock = clock.Add(time.Second)
		if err := l.Loop("panic"); err != nil {
			t.Error(err)
		}
		end(t, l, End{Reason: "panic", Crash: true, Core: "x"})
	}
	if l := begin(t, s, "other"); l.Last != nil {
		t.Errorf("%+v", l.Last)
	}
	if l := begin(t, s, "shop"); l.Last == nil || l.Last.InRow != 5 || l.Last.Cores["panic"] != 5 {
		t.Errorf("%+v", l.Last)
	}
}

// A supervisor that is killed leaves its marker: the next start records the end,
// with the core that was made of the last snapshot. One that runs is left alone.
func TestLost(t *testing.T) {
	s, clock := open(t, Policy{})
	running := begin(t, s, "shop")
	killed := begin(t, s, "shop")
	killed.SetPID(4711)
	killed.running.Close() // as the kernel does
	*clock = clock.Add(time.Minute)
	core, err := s.Write(corefile.Name("shop", 4711, *clock, Lost), 4, text("core"))
	if err != nil {
		t.Fatal(err)
	}
	l := begin(t, s, "shop")
	if e := l.Last; e == nil || e.Reason != Lost || !e.Crash || e.PID != 4711 || e.InRow != 1 || e.Core != core || e.Uptime() != time.Minute {
		t.Fatalf("%+v, want the core %s", e, core)
	}
	if l := begin(t, s, "shop"); l.Last.InRow != 1 {
		t.Errorf("the end was recorded twice: %+v", l.Last)
	}
	failed := begin(t, s, "shop")
	failed.Abandon()
	if l := begin(t, s, "shop"); l.Last.InRow != 1 {
		t.Errorf("a failed start is an end: %+v", l.Last)
	}
	if e := end(t, running, End{Reason: "exit-0"}); e.InRow != 0 {
		t.Errorf("%+v", e)
	}
	if l := begin(t, s, "shop"); l.Last == nil || l.Last.Reason != "exit-0" {
		t.Errorf("%+v", l.Last)
	}
}

// Many supervisors that share a directory lose no end.
func TestEndsAtOnce(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "cores"), Policy{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const programs, ends = 4, 5
	for i := range programs {
		wg.Go(func() {
			for range ends {
				l, err := s.Begin(fmt.Sprint("p", i))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := l.End(End{Reason: "panic", Crash: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := Ends(s.dir)
	if err != nil || len(all) != programs {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, e := range all {
		if e.InRow != ends {
			t.Errorf("%+v", e)
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), marker) {
			t.Errorf("a marker is left: %s", e.Name())
		}
	}
}

// A damaged file is written again; a reader reports it. Damaged markers, and
// links in their place, are no ends.
func TestDamagedEnds(t *testing.T) {
	s, _ := open(t, Policy{})
	for _, damage := range []string{"", "{", `{"shop":null}`, `{"shop":{"crash":true,"inRow":-1}}`, `[]`} {
		path := filepath.Join(s.dir, endsFile)
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, marker+"1"), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if e := end(t, begin(t, s, "shop"), End{Reason: "panic", Crash: true}); e.InRow < 0 || e.InRow > 1 {
			t.Errorf("%s: %+v", damage, e)
		}
		if all, err := Ends(s.dir); err != nil || len(all) != 1 {
			t.Errorf("%s: %+v, %v", damage, all, err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, endsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Ends(s.dir); err == nil || !strings.Contains(err.Error(), endsFile) {
		t.Errorf("%v", err)
	}
	outside := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(outside, []byte(`{"program":"shop"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(s.dir, marker+"2")); err != nil {
		t.Fatal(err)
	}
	if l := begin(t, s, "other"); l.Last != nil {
		t.Errorf("%+v", l.Last)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link's target was removed: %v", err)
	}
}

// The number of programs is bounded: the oldest end goes.
func TestManyPrograms(t *testing.T) {
	s, clock := open(t, Policy{})
	err := s.updateEnds(func(all map[string]*End) error {
		for i := range maxPrograms {
			*clock = clock.Add(time.Second)
			all[fmt.Sprint("p", i)] = &End{Program: fmt.Sprint("p", i), Time: *clock}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	*clock = clock.Add(time.Second)
	end(t, begin(t, s, "shop"), End{Reason: "exit-0"})
	all, err := Ends(s.dir)
	if err != nil || len(all) != maxPrograms || all[0].Program != "shop" || all[len(all)-1].Program != "p1" {
		t.Errorf("%d ends, %v", len(all), err)
	}
}
