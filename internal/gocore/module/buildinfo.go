package module

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// The head of what the go command lays into a program (package
// debug/buildinfo): 14 bytes of magic, the pointer size, flags, padding to 32
// bytes, then the Go version and the module text, each a varint length and
// bytes.
const (
	buildInfoMagic    = "\xff Go buildinf:"
	buildInfoAlign    = 16
	buildInfoHeader   = 32
	buildInfoFlags    = 15
	buildInfoInline   = 2
	buildInfoMostText = 16 << 20
)

// ErrNoBuildInfo is returned when a program has no build information.
var ErrNoBuildInfo = errors.New("no Go build information: not a Go program, or not one of Go 1.21 or later")

// findBuildInfo returns the Go version and, when there is one, the rest of the
// build information.
func findBuildInfo(mem memory.Mapped, hints []memory.Address) (string, *debug.BuildInfo, error) {
	for _, addr := range hints {
		if version, info, err := readBuildInfo(mem, addr); err == nil {
			return version, info, nil
		}
	}
	// It is in the data segment, at most read-only after relocation.
	tries := 0
	for _, writable := range []bool{true, false} {
		want := func(s memory.Segment) bool { return s.Write == writable && !s.Exec }
		for addr := range memory.Search(mem, []byte(buildInfoMagic), buildInfoAlign, want) {
			if version, info, err := readBuildInfo(mem, addr); err == nil {
				return version, info, nil
			}
			if tries++; tries == maxTries {
				return "", nil, ErrNoBuildInfo
			}
		}
	}
	if err := forbidden(mem); err != nil {
		return "", nil, err
	}
	return "", nil, ErrNoBuildInfo
}

// forbidden returns the error of reading memory that this process may not read: what is
// in it is not known then.
func forbidden(mem memory.Mapped) error {
	for _, s := range mem.Segments() {
		var b [1]byte
		if _, err := mem.ReadAt(b[:], s.Start); errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// readBuildInfo decodes the build information at addr.
func readBuildInfo(mem memory.Memory, addr memory.Address) (string, *debug.BuildInfo, error) {
	r := memory.Reader{Memory: mem}
	head, err := r.Bytes(addr, buildInfoHeader, buildInfoHeader)
	if err != nil {
		return "", nil, err
	}
	if string(head[:len(buildInfoMagic)]) != buildInfoMagic {
		return "", nil, fmt.Errorf("build information at %v: wrong magic", addr)
	}
	if head[buildInfoFlags]&buildInfoInline == 0 {
		return "", nil, fmt.Errorf("build information at %v: of a Go before 1.18", addr)
	}
	version, next, err := varString(r, addr.Add(buildInfoHeader))
	if err != nil {
		return "", nil, err
	}
	text, _, err := varString(r, next)
	if err != nil {
		return "", nil, err
	}
	// 16 bytes of sentinel surround the module text on each side.
	const sentinel = 16
	if len(text) < 2*sentinel+1 || text[len(text)-sentinel-1] != '\n' {
		return version, nil, nil
	}
	info, err := debug.ParseBuildInfo(text[sentinel : len(text)-sentinel])
	if err != nil {
		return version, nil, nil //nolint:nilerr // the version alone is worth having
	}
	info.GoVersion = version
	return version, info, nil
}

// varString reads a varint length and that many bytes; next is after them.
func varString(r memory.Reader, addr memory.Address) (text string, next memory.Address, err error) {
	var b [binary.MaxVarintLen64]byte
	n, err := r.ReadAt(b[:], addr)
	size, width := binary.Uvarint(b[:n])
	if width <= 0 {
		if err == nil {
			err = errors.New("a length that is no varint")
		}
		return "", 0, err
	}
	addr = addr.Add(uint64(width))
	text, err = r.Text(addr, size, buildInfoMostText)
	return text, addr.Add(size), err
}
