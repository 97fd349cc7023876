package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/internal/corefile"
)

// Every command that reads cores refuses one that is larger than --max-size when it
// is decompressed, whether it is made of frames or of one stream.
func TestMaxSize(t *testing.T) {
	dir := t.TempDir()
	frames := filepath.Join(dir, "frames.core.zst")
	if err := corefile.Save(frames, corefile.Form{Compress: true}, corefile.From(bytes.NewReader(make([]byte, 1<<20)))); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	z, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Flush(), z.Close()); err != nil {
		t.Fatal(err)
	}
	streamed := filepath.Join(dir, "stream.core.zst")
	if err := os.WriteFile(streamed, stream.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	others := []string{"list", "rm"} // decompress nothing
	tried := 0
	for _, c := range rootCommand().Commands() {
		if c.GroupID != groupRead && c.Name() != "filter" || slices.Contains(others, c.Name()) {
			continue
		}
		tried++
		for _, file := range []string{frames, streamed} {
			args := []string{file}
			switch c.Name() {
			case "find", "scan":
				args = append(args, "Pattern-not-there")
			case "diff":
				args = append(args, file)
			case "filter":
				args = append(args, "-o", filepath.Join(dir, "filtered"))
			}
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append([]string{c.Name(), "--max-size=64KiB"}, args...), strings.NewReader(""), &stdout, &stderr)
			if status != exitUsage || stdout.Len() > 0 || !strings.Contains(stderr.String(), "the decompressed core is too large: it has more than 64KiB: raise --max-size") {
				t.Errorf("%s %s: exit status %d\n%s%s", c.Name(), filepath.Base(file), status, &stdout, &stderr)
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d commands read cores", tried)
	}
}
