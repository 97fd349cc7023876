//go:build linux

package main

import (
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/supervise"
)

// maxMessage is the number of bytes that the kubelet reads of a container's
// termination message.
const maxMessage = 4096

// writeMessage writes a short report of a core to a file, which it creates if
// necessary: why the program ended, where the core is, its signature, the calls
// of the goroutine that ended the program, and the values of the entries marked
// summary. Without values it has neither calls nor the message of a panic. It
// is never longer than the kubelet reads, and never ends in the middle of a
// character.
func writeMessage(path string, c supervise.Core, where string, values bool) error {
	text := messageHead(c, report.Cause{Reason: c.Reason}, where)
	if values {
		full, err := messageOf(c, where)
		if text += fmt.Sprintln(err); err == nil {
			text = full
		}
	}
	return os.WriteFile(path, []byte(cut(string(escape([]byte(text))), maxMessage)), 0o600)
}

// messageHead returns the part that every message has.
func messageHead(c supervise.Core, cause report.Cause, where string) string {
	text := fmt.Sprintf("%s %s\ncore: %s\n", c.Program, cut(oneLine(cause.String()), 1000), where)
	if c.Signature != "" {
		text += "bug: " + c.Signature + "\n"
	}
	return text
}

// messageOf returns the message of a core, with values.
func messageOf(c supervise.Core, where string) (text string, err error) {
	err = withCore(c, func(prog *inspect.Program) error {
		r := report.Brief(prog)
		cause := report.Cause{Reason: c.Reason} // a snapshot's own reason is why the snapshot was made
		if r.Cause.Reason == c.Reason {
			cause = r.Cause
		}
		text = messageHead(c, cause, where)
		const width = 120
		for _, line := range failedSection(r.Failed, width).lines {
			text += line + "\n"
		}
		for _, v := range r.Summary {
			text += v.Name + " = " + v.Explained() + "\n"
		}
		return nil
	})
	return text, err
}

// cut shortens text to at most n bytes, and marks the cut.
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
