package shared_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/ramoops"
	"github.com/meminspect/meminspect/runtime/internal/shared"
)

// Open does not touch files of other formats. It accepts a file whose writer
// died while laying it out.
func TestOpenForeign(t *testing.T) {
	kinds := map[string]func([]byte) bool{"ring": logring.Is, "table": minidump.Is, "zones": ramoops.Is}
	ring := "MILOGRNG\x01" + strings.Repeat("\x00", 55)
	zone := "DBGC" + strings.Repeat("\x00", 60)
	table := make([]byte, minidump.GlobalSize)
	minidump.PutGlobal(table, minidump.Subsystem{})
	for _, c := range []struct {
		content string
		kind    string // format of the file; every opener accepts "all"
	}{
		{"", "all"},
		{strings.Repeat("\x00", 100), "all"},
		{strings.Repeat("\x00", 8) + "half laid out", "all"},
		{ring, "ring"},
		{zone, "zones"},
		{string(table), "table"},
		{"package main\n", "none"},
		{"x", "none"},
		{strings.Repeat("\x00", 7) + "x", "none"},
	} {
		for kind, ours := range kinds {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := shared.Open(path, 8192, ours)
			if c.kind == "all" || c.kind == kind {
				if err != nil {
					t.Errorf("%.16q as %s: %v", c.content, kind, err)
					continue
				}
				if !strings.HasPrefix(string(m.Bytes), c.content) {
					t.Errorf("%.16q as %s has become %.16q", c.content, kind, m.Bytes)
				}
				m.Close()
				continue
			}
			if !errors.Is(err, shared.ErrForeign) || !strings.Contains(err.Error(), path) {
				t.Errorf("%.16q as %s: %v", c.content, kind, err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != c.content {
				t.Errorf("%.16q as %s has become %.16q, %v", c.content, kind, got, err)
			}
		}
	}
}
