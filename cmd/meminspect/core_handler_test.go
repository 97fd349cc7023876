//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Installing shows and keeps what was there; uninstalling puts it back, and
// takes nobody else's away.
func TestCoreHandlerInstall(t *testing.T) {
	dir := t.TempDir()
	setting, before := filepath.Join(dir, "core_pattern"), filepath.Join(dir, "state", "before")
	const old = "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h\n"
	os.WriteFile(setting, []byte(old), 0o644)
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
