//go:build linux

package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Cores that leave the machine unencrypted are warned about.
func TestInTheClear(t *testing.T) {
	for to, want := range map[string]bool{
		"":                                false,
		"-":                               false,
		"exec:curl http://cores.example/": false,
		"https://cores.example/{name}":    false,
		"http://cores.example/{name}":     true,
		"http://10.1.2.3:9000/{name}":     true,
		"http://127.0.0.1:9000/{name}":    false,
		"http://[::1]:9000/{name}":        false,
		"http://localhost:9000/{name}":    false,
	} {
		if got := inTheClear(to); got != want {
			t.Errorf("%s: %v", to, got)
		}
	}
}

// What the user sets bounds each wait. Else a core that would be lost gets more time than
// one that is safe, and less than a handler has, which keeps nothing from being restarted.
func TestDestinationWaits(t *testing.T) {
	if spooled, unspooled := (&runFlags{}).waits(); spooled >= unspooled || unspooled >= handlerWait {
		t.Error(spooled, unspooled)
	}
	set := 5 * time.Millisecond
	if spooled, unspooled := (&runFlags{toWait: set}).waits(); spooled != set || unspooled != set {
		t.Error(spooled, unspooled)
	}
}

// No message has the value of --to, which may contain secrets, whatever is wrong with it.
func TestDestinationSecret(t *testing.T) {
	for _, to := range []string{
		"s3://key:s3cret@bucket", "s3://key:s3cret@", "S3://key:s3cret@bucket", "s3://bucket?s3cret", "s3://%s3cret",
		"HTTPS://user:s3cret@127.0.0.1:1/x", "ftp://user:s3cret@host", "user:s3cret@host",
		"https://user:s3cret@127.0.0.1:1/x", "http://user:s3cret@127.0.0.1:1/x?s3cret", "http://user:s3cret@127.0.0.1:1/%zz", "http://user:s3cret@/x",
		"exec:no-such-command s3cret", "exec:sh -c 's3cret", "exec:sh > s3cret", "exec:sh -c 'exit 1' s3cret",
	} {
		var out bytes.Buffer
		status := run(t.Context(), []string{"core-handler", "--dir", t.TempDir(), "--to", to, "--to-wait=100ms", strconv.Itoa(os.Getpid()), "6", "x"}, strings.NewReader(""), &out, &out)
		if status == exitDone || out.Len() == 0 || strings.Contains(out.String(), "s3cret") {
			t.Errorf("%s: exit status %d: %s", to, status, &out)
		}
	}
}

// A command that the wait ends is reported with the reason, and its core stays.
func TestDestinationCommandKilled(t *testing.T) {
	var out bytes.Buffer
	args := []string{"core-handler", "--dir", t.TempDir(), "--to", "exec:sleep 1000", "--to-wait=10ms", strconv.Itoa(os.Getpid()), "6", "x"}
	run(t.Context(), args, strings.NewReader(""), &out, &out)
	if !strings.Contains(out.String(), "command for cores: killed after 10ms: raise --to-wait: ") || !strings.Contains(out.String(), "; the core is in ") {
		t.Error(&out)
	}
}
