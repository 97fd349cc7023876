package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// build builds a program of testdata. A test may rename or replace the file, and
// no other test sees that: builds are shared by hard links.
func build(t *testing.T, program string, env []string, flags ...string) string {
	t.Helper()
	exe, err := programs.build(program, env, flags)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), program)
	if err := os.Link(exe, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// An executables has each build of a program of testdata once.
type executables struct {
	mu  sync.Mutex
	dir string
	all map[string]string // paths by command
}

var programs executables

func (e *executables) build(program string, env, flags []string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := fmt.Sprintf("%q %q %q", program, env, flags)
	if exe, ok := e.all[key]; ok {
		return exe, nil
	}
	if e.dir == "" {
		dir, err := os.MkdirTemp("", "meminspect-acceptance-*")
		if err != nil {
			return "", err
		}
		e.dir, e.all = dir, map[string]string{}
	}
	exe := filepath.Join(e.dir, strconv.Itoa(len(e.all)), program)
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), "./testdata/"+program)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v %v: %w\n%s", env, cmd.Args, err, out)
	}
	e.all[key] = exe
	return exe, nil
}

func (e *executables) remove() {
	if e.dir != "" {
		os.RemoveAll(e.dir)
	}
}
