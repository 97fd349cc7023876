package fullcore

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Of a core the head is read, and not a byte of the memory after it.
func TestReadHead(t *testing.T) {
	data := example(t)
	file, err := elfcore.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	memory := len(data)
	for _, l := range file.Loads {
		memory = min(memory, int(l.Offset))
	}
	in := bytes.NewReader(data)
	head, read, err := ReadHead(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(read) > memory || !bytes.Equal(read, data[:len(read)]) || in.Len() != len(data)-len(read) {
		t.Errorf("%d bytes were read and %d are left, of %d; memory begins at %d", len(read), in.Len(), len(data), memory)
	}
	th := head.Threads
	if len(th) != 1 || th[0].ID != 77 || string(th[0].Float) != "float" || runtime.GOARCH == "amd64" && th[0].TLS != 0x1234 {
		t.Errorf("%+v", th)
	}
	if head.SigInfo == nil || head.SigInfo.Signal != 6 || len(head.Auxv) != 64 {
		t.Errorf("%+v, %d bytes", head.SigInfo, len(head.Auxv))
	}

	for end := range len(read) {
		in := bytes.NewReader(data[:end])
		head, kept, err := ReadHead(in)
		if head != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("of %d bytes of %d: %v, %v", end, len(read), head, err)
		}
		if rest, _ := io.ReadAll(in); string(kept)+string(rest) != string(data[:end]) {
			t.Fatalf("of %d bytes %d and %d are left", end, len(kept), len(rest))
		}
	}
}

// What is no head of the kernel's is refused before much of it has been read.
func TestReadHeadOther(t *testing.T) {
	data := example(t)
	change := func(at int, bytes ...byte) []byte {
		bad := append([]byte{}, data...)
		copy(bad[at:], bytes)
		return bad
	}
	for name, bad := range map[string][]byte{
		"text":                   []byte(strings.Repeat("the kernel's core ", 100)),
		"an executable":          change(16, 2),
		"another machine":        change(18, 8),
		"no program headers":     change(56, 0, 0),
		"headers far away":       change(32, 0, 0, 0, 0, 1),
		"memory first":           change(headerSize, 1),
		"notes in the header":    change(headerSize+8, 0, 0),
		"notes without an end":   change(headerSize+32, 0, 0, 0, 0, 0, 1),
		"an endless first note":  change(headerSize+programSize*3+4, 0xff, 0xff, 0xff, 0xff),
		"notes without a thread": change(headerSize+programSize*3+8, 0x77),
	} {
		in := bytes.NewReader(bad)
		head, read, err := ReadHead(in)
		if head != nil || err == nil {
			t.Errorf("%s: %+v, %v", name, head, err)
		}
		if rest, _ := io.ReadAll(in); string(read)+string(rest) != string(bad) {
			t.Errorf("%s: %d bytes read, %d left, of %d", name, len(read), len(rest), len(bad))
		}
	}
}

// FuzzReadHead: an error comes without a head, a head has a thread, and what was
// read and what is left are the input.
func FuzzReadHead(f *testing.F) {
	data := example(f)
	f.Add(data)
	f.Add(data[:500])
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		head, read, err := ReadHead(in)
		if (head == nil) != (err != nil) || head != nil && len(head.Threads) == 0 {
			t.Fatalf("%+v, %v", head, err)
		}
		if rest, _ := io.ReadAll(in); string(read)+string(rest) != string(data) {
			t.Fatalf("%d bytes read, %d left, of %d", len(read), len(rest), len(data))
		}
	})
}
