//go:build linux

package coretest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/inspect/coretest"
	meminspect "github.com/meminspect/meminspect/runtime"
)

type session struct {
	User string
	hits int
	next *session
}

var (
	served   = int64(42)
	sessions = map[string]*session{}
)

func TestMain(m *testing.M) {
	ids := []meminspect.ID{register(&served, "served"), register(&sessions, "sessions")}
	status := m.Run()
	for _, id := range ids {
		meminspect.Unregister(id)
	}
	os.Exit(status)
}

func register[T any](p *T, name string) meminspect.ID {
	id, err := meminspect.Register(meminspect.IDDynamic, p, meminspect.Name(name))
	if err != nil {
		panic(err)
	}
	return id
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }

func (r *recorder) want(t *testing.T, parts ...string) {
	t.Helper()
	all := strings.Join(r.errors, "\n")
	if len(parts) == 0 && all != "" {
		t.Errorf("unexpected: %s", all)
	}
	for _, part := range parts {
		if !strings.Contains(all, part) {
			t.Errorf("%q has no %q", all, part)
		}
	}
	r.errors = nil
}

func TestChecks(t *testing.T) {
	second := &session{User: "bob"}
	second.next = second
	sessions = map[string]*session{"ada": {"ada", 3, nil}, "bob": second}
	core := coretest.Self(t)
	r := &recorder{TB: t}

	coretest.Equal(r, core, "served", 42)
	coretest.Equal(r, core, "served", uint8(42))
	coretest.Equal(r, core, `sessions["ada"]`, session{"ada", 3, nil})
	coretest.Equal(r, core, "sessions", sessions)
	coretest.Equal(r, core, "sessions[*].User", []string{"ada", "bob"})
	coretest.Equal(r, core, `sessions["ada"].next`, nil)
	coretest.Within(r, core, "len(sessions)", 2, 2)
	r.want(t)

	coretest.Equal(r, core, "served", 43)
	r.want(t, "served differs", "43", "42")
	coretest.Equal(r, core, "served", "42")
	r.want(t, "cannot be stored in a string")
	coretest.Equal(r, core, "serves", 42)
	r.want(t, "no region is called")
	coretest.Within(r, core, "served", 43, 50)
	r.want(t, "served is 42: want 43 to 50")

	file := filepath.Join(t.TempDir(), "dir", "state.golden")
	coretest.Golden(r, core, file, "served", "sessions[*].User")
	r.want(t, "UPDATE_GOLDEN=1 to write it")
	t.Setenv("UPDATE_GOLDEN", "1")
	coretest.Golden(r, core, file, "served", "sessions[*].User", `sessions["bob"]`)
	t.Setenv("UPDATE_GOLDEN", "")
	coretest.Golden(r, core, file, "served", "sessions[*].User", `sessions["bob"]`)
	r.want(t)
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "served = int64(42)\nsessions[\"ada\"].User = \"ada\"\nsessions[\"bob\"].User = \"bob\"\n") || !strings.Contains(string(text), "#1") {
		t.Errorf("%v %s", err, text)
	}
	coretest.Golden(r, core, file, "served")
	r.want(t, "values differ from")
}

func ExampleEqual() {
	var t testing.TB // of the test
	cmdProcess := os.Process{}
	core := coretest.Capture(t, cmdProcess.Pid)
	coretest.Equal(t, core, "main.served", 42)
	coretest.Within(t, core, "len(main.queue.jobs)", 0, 100)
	coretest.Golden(t, core, "testdata/state.golden", "main.config")
}
