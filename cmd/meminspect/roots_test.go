//go:build linux

package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/coreimage"
)

// An image that has only this program has no certificates. Each command that connects to a
// server has some nevertheless.
func TestRoots(t *testing.T) {
	const bare, server = "MEMINSPECT_TEST_BARE", "https://127.0.0.1:1/" // where nothing listens
	if name := os.Getenv(bare); name != "" {
		dir := t.TempDir()
		args := map[string][]string{
			"to":     {"run", "--quiet", "--dir", dir, "--to", server, "--", "true"},
			"notify": {"run", "--quiet", "--dir", dir, "--notify", server, "--", "true"},
			"debug":  {"debug", filepath.Join(dir, "own.core")},
			"none":   {"run", "--quiet", "--dir", dir, "--", "true"},
		}[name]
		if err := coreimage.WriteFile(filepath.Join(dir, "own.core")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(os.Args[0]); err != nil { // so that debug asks the server
			t.Fatal(err)
		}
		var out bytes.Buffer
		run(t.Context(), args, strings.NewReader(""), &out, &out)
		pool, err := x509.SystemCertPool()
		if has := err == nil && !pool.Equal(x509.NewCertPool()); has != (name != "none") {
			t.Errorf("root certificates: %v, %v\n%s", has, err, out.String())
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
