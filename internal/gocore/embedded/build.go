package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// BuildOf returns what identifies f's build: its build IDs, or a hash of
// its code when it has none. A program that has neither is an error.
func BuildOf(f *exe.File) (Build, error) {
	var b Build
	if b.GoID, b.GNUID = f.BuildIDs(); b.GoID != "" || b.GNUID != "" {
		return b, nil
	}
	var err error
	if b.Hash, err = hash(f); err != nil {
		return Build{}, fmt.Errorf("the program has no build ID, and its code cannot be hashed: %w", err)
	}
	return b, nil
}

// Check reports an error that wraps ErrStale when f is not of the build b.
func (b Build) Check(f *exe.File) error {
	now, err := BuildOf(f)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	for _, c := range []struct{ what, section, file string }{
		{"Go build ID", b.GoID, now.GoID},
		{"GNU build ID", b.GNUID, now.GNUID},
		{"hash of the code", b.Hash, now.Hash},
	} {
		if c.section != c.file {
			return fmt.Errorf("%w: it belongs to a build with the %s %q, and this one has %q: embed again", ErrStale, c.what, c.section, c.file)
		}
	}
	if b == (Build{}) {
		return fmt.Errorf("%w: it does not say which build it belongs to", ErrStale)
	}
	return nil
}

// hash is the SHA-256 of the program's text and pc-line table.
func hash(f *exe.File) (string, error) {
	p, err := module.OfFile(f)
	if err != nil {
		return "", err
	}
	if len(p.Modules) == 0 {
		return "", errors.New("it has no module")
	}
	h := sha256.New()
	m := p.Modules[0]
	for _, r := range []memory.Range{m.Text, m.PCLineTable()} {
		buf := make([]byte, 1<<20)
		for at := r.Start; at < r.End; {
			part := buf[:min(uint64(len(buf)), uint64(r.End-at))]
			if n, err := f.ReadAt(part, at); n < len(part) {
				return "", err
			}
			h.Write(part)
			at = at.Add(uint64(len(part)))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
