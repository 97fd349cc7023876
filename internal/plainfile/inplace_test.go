package plainfile

import (
	"io/fs"
	"testing"
)

func TestInPlace(t *testing.T) {
	for _, c := range []struct {
		path string
		mode fs.FileMode
		want bool
	}{
		{"/dev/null", fs.ModeDevice | fs.ModeCharDevice, true},
		{"pipe", fs.ModeNamedPipe, true},
		{"/dev/stdout", 0o600, true}, // redirected to a file
		{"/proc/self/fd/1", 0o600, true},
		{"/tmp/../dev/stdout", 0o600, true},
		{"/dev/shm/core", 0o600, false},
		{"core", 0o600, false},
		{"/dev/sda", fs.ModeDevice, false},
		{"/dev/log", fs.ModeSocket, false},
		{"/dev/fd", fs.ModeDir, false},
	} {
		if got := InPlace(c.path, c.mode); got != c.want {
			t.Errorf("%s, %v: %v", c.path, c.mode, got)
		}
	}
}
