//go:build linux

// Package groups makes control groups for tests.
package groups

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Limited makes a control group whose memory is limited and returns the files to
// which a process writes its number to enter it. The group is one of version 2 if
// that has the memory controller, else of version 1. On a hybrid host a group of
// version 2 keeps the account of stalls.
func Limited(t *testing.T, bytes int) (procs []string) {
	t.Helper()
	return Named(t, fmt.Sprintf("meminspect-test-%d-%d", os.Getpid(), time.Now().UnixNano()), bytes)
}

// Named makes a group like Limited, with a name.
func Named(t *testing.T, name string, bytes int) (procs []string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making a control group needs root")
	}
	limited := false
	for _, tree := range []struct{ dir, file string }{
		{"/sys/fs/cgroup", "memory.max"}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup/unified", ""},
	} {
		if _, err := os.Stat(tree.dir + "/cgroup.procs"); err != nil {
			continue
		}
		group := filepath.Join(tree.dir, name)
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Skip("making a control group: ", err)
		}
		t.Cleanup(func() {
			for range 50 { // its last process may be on its way out
				if os.Remove(group) == nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Errorf("the control group %s stays", group)
		})
		if tree.file != "" && !limited {
			limited = os.WriteFile(filepath.Join(group, tree.file), fmt.Append(nil, bytes), 0) == nil
		}
		procs = append(procs, filepath.Join(group, "cgroup.procs"))
	}
	if !limited {
		t.Skip("no control group here limits memory")
	}
	return procs
}

// Enter returns the commands with which a shell enters a group.
func Enter(procs []string) (script string) {
	for _, p := range procs {
		script += "echo $$ > " + p + "; "
	}
	return script
}
