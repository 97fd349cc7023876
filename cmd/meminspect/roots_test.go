//go:build linux

package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/runtime/coreimage"
)

// An image that has only this program has no certificates. Each command that connects to a
// server has some nevertheless.
func TestRoots(t *testing.T) {
	const bare, server = "MEMINSPECT_TEST_BARE", "https://127.0.0.1:1/" // where nothing listens
	if name := os.Getenv(bare); name != "" {
		dir := t.TempDir()
		s, err := store.Open(dir, store.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		switch f := (&runFlags{}); name {
		case "to":
			f.to, f.dir = server, dir
			_, _, err = f.sender(t.Context(), s, &supervise.Config{})
		case "notify":
			f.notify, f.dir = server, dir
			_, err = f.notifier(&supervise.Config{})
		case "debug":
			own := filepath.Join(dir, "own.core")
			err = errors.Join(coreimage.WriteFile(own), os.Remove(os.Args[0])) // so that it asks the server
			var out bytes.Buffer
			run(t.Context(), []string{"debug", own}, strings.NewReader(""), &out, &out)
			if !strings.Contains(out.String(), "127.0.0.1:1") {
				t.Errorf("it did not ask the server: %s", out.String())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		pool, err := x509.SystemCertPool()
		if has := err == nil && !pool.Equal(x509.NewCertPool()); has != (name != "none") {
			t.Errorf("root certificates: %v, %v", has, err)
		}
		return
	}
	for _, name := range []string{"to", "notify", "debug", "none"} {
		t.Run(name, func(t *testing.T) {
			exe := filepath.Join(t.TempDir(), "meminspect.test")
			copied, err := os.ReadFile("/proc/self/exe")
			if err == nil {
				err = os.WriteFile(exe, copied, 0o700)
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, "-test.run=^TestRoots$")
			cmd.Env = append(os.Environ(), bare+"="+name, "DEBUGINFOD_URLS="+server, "XDG_CACHE_HOME="+t.TempDir(), "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR="+t.TempDir())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
