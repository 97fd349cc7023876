//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Installing shows and keeps what was there; uninstalling puts it back, and
// takes nobody else's away.
func TestCoreHandlerInstall(t *testing.T) {
	dir := t.TempDir()
	setting, before := filepath.Join(dir, "core_pattern"), filepath.Join(dir, "state", "before")
	const old = "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h\n"
	if err := os.WriteFile(setting, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := uninstallHandler(&out, before, setting); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("another's handler: %v", err)
	}
	for range 2 { // the second time nothing is lost
		if err := installHandler(&out, "/usr/bin/meminspect", "/var/cores", before, setting); err != nil {
			t.Fatal(err)
		}
	}
	now, _ := os.ReadFile(setting)
	if string(now) != "|/usr/bin/meminspect core-handler --dir=/var/cores %P %s %e\n" || !strings.Contains(out.String(), old) {
		t.Errorf("installed %q, said %q", now, out.String())
	}
	// Another directory is taken up, and what was there before us is known still.
	if err := installHandler(&out, "/usr/bin/meminspect", "/srv/cores", before, setting); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(setting); string(now) != "|/usr/bin/meminspect core-handler --dir=/srv/cores %P %s %e\n" {
		t.Errorf("installed %q", now)
	}
	if err := uninstallHandler(&out, before, setting); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(setting); string(now) != old {
		t.Errorf("put back %q", now)
	}
	for _, bad := range []string{"/a b", "/" + strings.Repeat("x", 120), "/100%"} {
		if err := installHandler(&out, "/usr/bin/meminspect", bad, before, setting); err == nil {
			t.Errorf("%q was installed", bad)
		}
	}
	if now, _ := os.ReadFile(setting); string(now) != old {
		t.Errorf("a refused install left %q", now)
	}
}

// The kernel hands over the name that a process gave itself, whatever it is.
func TestCoreHandlerNames(t *testing.T) {
	for _, name := range []string{"--to=exec:true", "--full", "-h", "--", "", "a b"} {
		dir := t.TempDir()
		var out bytes.Buffer
		status := run(t.Context(), []string{"core-handler", "--dir", dir, strconv.Itoa(os.Getpid()), "6", name}, strings.NewReader(""), &out, &out)
		cores, _ := filepath.Glob(filepath.Join(dir, "*.signal-sigabrt.core"))
		if status != exitDone && status != exitPartial || len(cores) != 1 {
			t.Errorf("%q: exit status %d, cores %v: %s", name, status, cores, &out)
		}
	}
}

// What the limits refused is counted in the next core.
func TestCoreHandlerLimits(t *testing.T) {
	dir := t.TempDir()
	handle := func() (int, string) {
		var out bytes.Buffer
		args := []string{"core-handler", "--dir", dir, "--limit=1/2s", strconv.Itoa(os.Getpid()), "6", "server"}
		return run(t.Context(), args, strings.NewReader(""), &out, &out), out.String()
	}
	handle()
	for range 2 {
		if status, said := handle(); status != exitUsage || !strings.Contains(said, "rate limit for signal-sigabrt reached") {
			t.Errorf("exit status %d: %s", status, said)
		}
	}
	time.Sleep(2 * time.Second)
	handle()
	cores, _ := filepath.Glob(filepath.Join(dir, "*.core"))
	if len(cores) != 2 {
		t.Fatalf("cores %v", cores)
	}
	var out bytes.Buffer
	if run(t.Context(), []string{"info", cores[1]}, nil, &out, &out); !strings.Contains(out.String(), "suppressed: 2") {
		t.Errorf("the core does not say what was suppressed: %s", &out)
	}
}
