//go:build linux

package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
)

// An image that has only this program has no certificates. Uploads need some.
func TestRoots(t *testing.T) {
	const bare = "MEMINSPECT_TEST_BARE"
	if os.Getenv(bare) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestRoots$")
		cmd.Env = append(os.Environ(), bare+"=1", "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	provideRoots()
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		t.Errorf("no root certificates: %v", err)
	}
}
