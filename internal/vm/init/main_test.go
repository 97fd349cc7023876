//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/vm/protocol"
)

// The end of the server is reported while other children live.
func TestReap(t *testing.T) {
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	for script, want := range map[string]string{"exit 3": "exit status 3", "kill -TERM $$": "terminated"} {
		server := exec.Command("sh", "-c", script)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if err := reap(server.Process.Pid); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", script, err, want)
		}
	}
}

// The events of an answer have the request's number. A process that keeps the output open
// after the command's end, whatever its exit status, is reported in the End.
func TestAnswers(t *testing.T) {
	was := outputDelay
	t.Cleanup(func() { outputDelay = was })
	outputDelay = 100 * time.Millisecond
	for _, c := range []struct {
		script, output string
		status         int
		cut            bool
	}{
		{"echo out; exit 3", "out\n", 3, false},
		{"sleep 3 >/dev/null 2>&1 & echo out", "out\n", 0, false},
		{"sleep 3 & echo out; exit 3", "out\n", 3, true},
		{"sleep 3 & echo out", "out\n", 0, true},
		{"yes | head -c 300000", strings.Repeat("y\n", 150000), 0, false},
	} {
		var sent bytes.Buffer
		a := answer{&sender{w: &sent}, 7}
		end := a.do(protocol.Request{Args: []string{"sh", "-c", c.script}, Limit: time.Minute})
		var output strings.Builder
		for line := range bytes.Lines(sent.Bytes()) {
			var e protocol.Event
			if err := json.Unmarshal(line, &e); err != nil || e.ID != 7 {
				t.Fatalf("%s: %v: %s", c.script, err, line)
			}
			output.Write(e.Data)
		}
		status := syscall.WaitStatus(end.Status).ExitStatus()
		if output.String() != c.output || status != c.status || end.Cut != c.cut || end.Error != "" || end.TimedOut {
			t.Errorf("%s: %.20q, %+v", c.script, output.String(), end)
		}
	}
}
