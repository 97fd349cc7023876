//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/supervise"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// messageLimit is what the kubelet reads of a container's termination message.
const messageLimit = 4096

// writeMessage writes a short report of a core to a file that is there already
// or is made: why, where the core is, what the program said, and the values of
// the entries that are marked summary. Without values it is the reason and the
// place alone. It is never longer than the kubelet reads, and never has half a
// character at its end.
func writeMessage(path string, c supervise.Core, where string, values bool) error {
	text := fmt.Sprintf("%s: %s\ncore: %s\n", c.Program, c.Reason, where)
	if values {
		full, err := messageOf(c, where)
		if text += fmt.Sprintln(err); err == nil {
			text = full
		}
	}
	return os.WriteFile(path, []byte(cut(text, messageLimit)), 0o600)
}

// maxForMessage bounds the cores whose values are in a message: it takes a copy
// in memory, which the program's own group may be short of.
const maxForMessage = 64 << 20

// messageOf reads the core that is about to leave, or has left, from a copy in
// the clear. That is in memory alone: a container may have no place where it could
// write, and what is encrypted on its way is not for a disk.
func messageOf(c supervise.Core, where string) (string, error) {
	if c.Size <= 0 || c.Size > maxForMessage {
		return "", fmt.Errorf("no values: the core is larger than %d bytes, or is the kernel's own", maxForMessage)
	}
	f, err := corefile.InMemory("core")
	if err != nil {
		return "", fmt.Errorf("no values: %w", err)
	}
	defer f.Close()
	if err := c.Write(f); err != nil {
		return "", err
	}
	core, err := inspect.Read(f, c.Size)
	if err != nil {
		return "", err
	}
	defer core.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\ncore: %s\n", c.Program, c.Reason, where)
	if core.Capture != nil {
		for _, p := range core.Capture.Extra {
			if p.Key == "message" {
				fmt.Fprintf(&b, "message: %s\n", cut(p.Value, 1000))
			}
		}
	}
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		return b.String() + err.Error() + "\n", nil
	}
	defer prog.Close()
	for i := range core.Regions {
		r := &core.Regions[i]
		if r.Flags&anchor.EntrySummary != 0 {
			fmt.Fprintf(&b, "%s = %s\n", value.Label(r, mainPath(core)), value.Region(prog, r, value.Limits{}).Go())
		}
	}
	return b.String(), nil
}

// cut shortens text to at most n bytes, and says so.
func cut(s string, n int) string {
	const dots = " …"
	if len(s) <= n {
		return s
	}
	s = s[:n-len(dots)]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
		if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s + dots
}
