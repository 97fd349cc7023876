package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// handMade is a core of 64 bytes at 0x1000, of which some are filled with
// marks, and of 4096 marked bytes at 0x2000.
func handMade(t *testing.T, notes ...elfcore.Note) []byte {
	t.Helper()
	data := make([]byte, 64)
	for i := range data {
		data[i] = byte(i + 1)
	}
	own := func(typ uint32, desc []byte) elfcore.Note {
		return elfcore.Note{Name: note.Owner, Type: typ, Desc: desc}
	}
	notes = append(notes,
		own(note.TypeRegions, note.EncodeRegions([]note.Region{{ID: 7, Name: "queue", Addr: 0x1000, Size: 64}})),
		own(note.TypeMarked, note.EncodeMarked([]note.MarkedRange{
			{Addr: 0x1008, Size: 8, Why: note.MarkedExcluded}, {Addr: 0x1010, Size: 8, Why: note.MarkedUnknown},
			{Addr: 0x1018, Size: 8, Why: note.MarkedHole}, {Addr: 0x1020, Size: 8, Why: note.MarkedGap},
		})),
	)
	core := elfcore.Core{Machine: elfcore.MachineAMD64, Notes: notes, Segments: []elfcore.Segment{
		{Addr: 0x1000, Size: 64, Flags: elfcore.FlagRead | elfcore.FlagWrite, Content: elfcore.Bytes(data)},
		{Addr: 0x2000, Size: 4096, Flags: elfcore.FlagRead | elfcore.FlagWrite},
	}}
	var b bytes.Buffer
	if _, err := core.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A core is opened as it is, and compressed; what else a file may be is an
// error that states what to do.
func TestOpen(t *testing.T) {
	plain := handMade(t)
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		data       []byte
		compressed int64
	}{"plain": {plain, 0}, "compressed": {packed.Bytes(), int64(packed.Len())}} {
		core, err := Open(write(t, c.data))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		defer core.Close()
		if len(core.Regions) != 1 || core.Regions[0].Name != "queue" || core.Bytes != int64(len(plain)) || core.Compressed != c.compressed {
			t.Errorf("%s: %+v, %d bytes, %d compressed", what, core.Regions, core.Bytes, core.Compressed)
		}
		if held, marked := core.Captured(); held != 32 || marked != 4096+32 {
			t.Errorf("%s: %d bytes held, %d marked", what, held, marked)
		}
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	a, err := age.Encrypt(&sealed, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	encrypted := write(t, sealed.Bytes())
	if core, err := Open(encrypted); err == nil {
		core.Close()
		t.Error("an encrypted core was opened without a key")
	}
	core, err := OpenWith(encrypted, corefile.OpenOptions{Identities: []age.Identity{key}})
	if err != nil || !core.Encrypted || len(core.Regions) != 1 {
		t.Fatalf("an encrypted core: %v", err)
	}
	core.Close()
	for what, path := range map[string]string{
		"an empty file": write(t, nil), "a directory": t.TempDir(), "half a header": write(t, plain[:40]), "half of a compressed one": write(t, packed.Bytes()[:packed.Len()/2]),
	} {
		if core, err := Open(path); err == nil {
			core.Close()
			t.Errorf("%s was opened", what)
		}
	}
	core, err = Read(bytes.NewReader(plain), int64(len(plain)))
	if err != nil || core.NeedRegions() != nil {
		t.Errorf("%v, %v", err, core.NeedRegions())
	}
}

// Memory that is filled with marks cannot be read, and the error has the reason.
func TestMarkedMemory(t *testing.T) {
	data := handMade(t)
	core, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenProgram(core, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, c := range []struct {
		addr memory.Address
		want Missing
	}{
		{0x1000, ""}, {0x1008, Redacted}, {0x1010, Untyped}, {0x1018, Unreadable}, {0x1020, NotCaptured}, {0x1028, ""}, {0x1040, NotCaptured}, {0x2000, NotCaptured},
	} {
		var b [8]byte
		if got := p.Read(b[:], c.addr); got != (c.want == "") || got && b[0] != byte(c.addr)+1 {
			t.Errorf("%v: read %v, %x", c.addr, got, b)
		}
		if got := p.Why(memory.RangeOf(c.addr, 8)); c.want != "" && got != c.want {
			t.Errorf("%v: %q, want %q", c.addr, got, c.want)
		}
	}
	// The first byte that is not there decides.
	if got := p.Why(memory.Range{Start: 0x1000, End: 0x1040}); got != Redacted {
		t.Errorf("all of it: %q", got)
	}
	// It is no Go program, which is a warning.
	if p.Go != nil || len(p.Warnings) == 0 || p.Calls(0x1000) != nil || p.FuncName(0x1000) != "" || p.Version().Minor != 0 {
		t.Errorf("%+v", p)
	}
}

// An executable that the user names must be there; one that the core names is
// left out when it is gone or another, with a warning.
func TestExecutables(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	for _, c := range []struct {
		name, named string
		record      note.Capture
		fails, in   bool
		warning     string
	}{
		{"named and gone", gone, note.Capture{}, true, false, ""},
		{"recorded and gone", "", note.Capture{Program: gone}, false, false, "is gone"},
		{"recorded and built anew", "", note.Capture{Program: self, BuildID: "another"}, false, false, "was built anew"},
		{"named and another", self, note.Capture{BuildID: "another"}, true, false, ""},
		{"named and another for the GNU linker", self, note.Capture{GNUBuildID: "0123"}, true, false, ""},
		{"recorded", "", note.Capture{Program: self}, false, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := handMade(t, elfcore.Note{Name: note.Owner, Type: note.TypeCapture, Desc: c.record.Encode()})
			core, err := Read(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			p, err := OpenProgram(core, c.named)
			if c.fails {
				if err == nil {
					p.Close()
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if c.in != (p.Exe != nil) || c.in != (p.Go != nil) {
				t.Errorf("executable %v, program %v", p.Exe, p.Go)
			}
			if warnings := strings.Join(p.Warnings, "\n"); c.warning != "" && !strings.Contains(warnings, c.warning) {
				t.Errorf("warnings %q", warnings)
			}
			if c.in { // code is known by the executable
				f, err := p.Go.Modules[0].Functions(p.Go.Mem)
				if err != nil {
					t.Fatal(err)
				}
				first, err := f.Func(0)
				if err != nil {
					t.Fatal(err)
				}
				if got := p.FuncName(first.Range.Start); got != first.Name || got == "" {
					t.Errorf("the function at %v is %q, want %q", first.Range.Start, got, first.Name)
				}
			}
		})
	}
}
