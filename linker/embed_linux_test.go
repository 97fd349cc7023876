package linker_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/linker"
)

// embed embeds into the binary at path, with the variables of a list.
func embed(tb testing.TB, path, list string) *embedded.Content {
	tb.Helper()
	p, err := linker.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	if list != "" {
		parsed, err := linker.ParseIncludeList("list", strings.NewReader(list))
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := p.Include(parsed); err != nil {
			tb.Fatal(err)
		}
	}
	c, err := p.Content()
	if err != nil {
		tb.Fatal(err)
	}
	wrote, err := p.Embed()
	if err != nil {
		tb.Fatal(err)
	}
	if wrote.Entries != len(c.Entries) || wrote.Types != len(c.Types) || wrote.RuntimeVariables != len(c.Runtime.Symbols) {
		tb.Errorf("counts %+v of %d entries, %d types, %d variables", wrote, len(c.Entries), len(c.Types), len(c.Runtime.Symbols))
	}
	return c
}

func read(tb testing.TB, path string) *embedded.Content {
	tb.Helper()
	f, err := exe.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	c, err := embedded.Read(f)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// The embedded section survives strip, and the program runs.
func TestEmbed(t *testing.T) {
	bin := copyTo(t, plainBinary(t))
	before := ask(t, bin)
	wrote := embed(t, bin, "runtime.printBacklog\nos.Args depth=2\n")
	if diff := cmp.Diff(wrote, read(t, bin)); diff != "" {
		t.Errorf("written (-), read (+):\n%s", diff)
	}
	first, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	embed(t, bin, "runtime.printBacklog\nos.Args depth=2\n")
	if second, _ := os.ReadFile(bin); !bytes.Equal(first, second) {
		t.Error("the same embedded again makes another file")
	}
	for _, strip := range [][]string{nil, {"-g"}, {}, {"-s"}} {
		if strip != nil {
			command(t, "strip", append(strip, bin)...)
		}
		if diff := cmp.Diff(before, ask(t, bin)); diff != "" {
			t.Errorf("the program reports, before (-) and after (+) strip %v:\n%s", strip, diff)
		}
		if diff := cmp.Diff(wrote, read(t, bin)); diff != "" {
			t.Errorf("after strip %v: written (-), read (+):\n%s", strip, diff)
		}
		out := command(t, "readelf", "-SW", bin)
		if bytes.Count(out, []byte(embedded.SectionName)) != 1 || bytes.Contains(out, []byte("arning")) {
			t.Errorf("readelf after strip %v:\n%s", strip, out)
		}
	}
	// The section is not loaded into memory.
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s := f.Section(embedded.SectionName); s == nil || s.Flags != 0 || s.Addr != 0 || s.Type != elf.SHT_PROGBITS {
		t.Errorf("section %+v", s)
	}
	embed(t, bin, "") // the list can no longer be resolved, the rest can
	if c := read(t, bin); len(c.Entries) != len(wrote.Entries)-2 || len(c.Runtime.Symbols) != 0 || len(c.Notes) == 0 {
		t.Errorf("embedded after strip: %d entries, %d symbols, notes %q", len(c.Entries), len(c.Runtime.Symbols), c.Notes)
	}
}

// The embedded content has what a capture needs: the same facts as the symbols
// and the debug information.
func TestEmbeddedFacts(t *testing.T) {
	bin := copyTo(t, plainBinary(t))
	p := open(t, bin)
	want := map[string]embedded.Symbol{}
	all, err := p.File().Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		want[s.Name] = embedded.Symbol{Addr: s.Addr, Size: s.Size}
	}
	c := embed(t, bin, "os.Args")
	for _, name := range []string{"runtime.allglen", "runtime.allgptr", "runtime.allgs", "runtime.printBacklog", "runtime.firstmoduledata"} {
		if got := c.Runtime.Symbols[name]; got.Addr == 0 || got != want[name] {
			t.Errorf("%s: %+v, the symbol table has %+v", name, got, want[name])
		}
	}
	// Package goroutine has its own tables of offsets, by release.
	layout, err := goroutine.LayoutOf(mustVersion(t, c.Go))
	if err != nil {
		t.Fatal(err)
	}
	g := c.Runtime.Structs["runtime.g"]
	if g.Size != uint64(layout.Size) || g.Fields["sched"][0] != 56 || g.Fields["goid"][1] != 8 {
		t.Errorf("runtime.g: %+v, package goroutine reports %d bytes", g, layout.Size)
	}
	var args *embedded.Entry
	for i, e := range c.Entries {
		if e.Included != "" {
			args = &c.Entries[i]
		}
	}
	if args == nil || args.Type < 0 || c.Types[args.Type].Name != "[]string" || args.Size != 24 || args.Included != "list:1" || args.Addr != want["os.Args"].Addr {
		t.Errorf("included: %+v", args)
	}
	sessions := false
	for _, e := range c.Entries {
		if e.Name != "sessions" {
			continue
		}
		sessions = true
		m := c.Types[e.Type]
		if m.Kind != "map" || m.Map == nil || c.Types[*m.Key].Name != "string" || c.Types[*c.Types[*m.Elem].Elem].Name != "main.session" {
			t.Errorf("sessions: %+v", m)
		}
		if s := c.Types[*c.Types[*m.Elem].Elem]; len(s.Fields) != 4 || s.Fields[1].Name != "Token" || s.Fields[1].Offset != 16 || c.Types[s.Fields[1].Type].Len != 16 {
			t.Errorf("session: %+v", s)
		}
	}
	if !sessions || len(c.Exclusions) != 3 {
		t.Errorf("entries %+v, exclusions %+v", c.Entries, c.Exclusions)
	}
}

// A section of another build is refused, with or without build IDs.
func TestEmbeddedStale(t *testing.T) {
	one := copyTo(t, plainBinary(t))
	embed(t, one, "")
	section := filepath.Join(t.TempDir(), "section")
	command(t, "objcopy", "--dump-section", embedded.SectionName+"="+section, one)
	for _, b := range []build{{args: "-trimpath"}, {args: "-trimpath -ldflags=-buildid="}} {
		other := b.run(t)
		command(t, "objcopy", "--add-section", embedded.SectionName+"="+section, other)
		if _, err := linker.Extract(other); !errors.Is(err, embedded.ErrStale) || !strings.Contains(err.Error(), "embed again") {
			t.Errorf("%s with the section of another: %v", b.name(), err)
		}
	}
}

// A program without a build ID is identified by its code.
func TestEmbedWithoutBuildID(t *testing.T) {
	bin := build{args: "-ldflags=-buildid="}.run(t)
	c := embed(t, bin, "")
	if c.Build.GoID != "" || c.Build.GNUID != "" || len(c.Build.Hash) != 64 {
		t.Fatalf("build %+v", c.Build)
	}
	command(t, "strip", "-s", bin)
	if _, err := linker.Extract(bin); err != nil {
		t.Fatalf("after strip: %v", err)
	}
	data, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, bin)
	// One changed bit of the code makes it a different program.
	i := bytes.Index(data, functionBytes(t, p, "main.main"))
	if i < 0 {
		t.Fatal("main.main is not in the file")
	}
	data[i] ^= 1
	if err := os.WriteFile(bin, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := linker.Extract(bin); !errors.Is(err, embedded.ErrStale) {
		t.Errorf("with another code: %v", err)
	}
}

// A file that Embed rejects stays unchanged, and the error states what
// to do.
func TestEmbedRefuses(t *testing.T) {
	pristine, err := os.ReadFile(plainBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		tail string
		want error
	}{
		{"signed", "\x30\x82sig~Module signature appended~\n", linker.ErrSigned},
		{"payload", "PK\x05\x06" + strings.Repeat("\x00", 18), linker.ErrTrailer},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin := filepath.Join(t.TempDir(), "program")
			data := append(bytes.Clone(pristine), c.tail...)
			if err := os.WriteFile(bin, data, 0o755); err != nil {
				t.Fatal(err)
			}
			p := open(t, bin)
			if _, err := p.Embed(); !errors.Is(err, c.want) {
				t.Errorf("embed: %v, want %v", err, c.want)
			}
			if now, _ := os.ReadFile(bin); !bytes.Equal(now, data) {
				t.Error("the file was changed")
			}
			checkAlone(t, bin)
		})
	}
	if _, err := linker.Extract(plainBinary(t)); !errors.Is(err, embedded.ErrNone) {
		t.Errorf("extract from a program without section: %v", err)
	}
}

// Embedding would invalidate a signature in an extended attribute.
func TestEmbedRefusesSignedAttributes(t *testing.T) {
	bin := copyTo(t, plainBinary(t))
	if !setAttribute(bin, "security.ima", "\x03\x02\x04signature") {
		t.Skip("attributes of the integrity subsystem cannot be set here")
	}
	before, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, bin)
	if _, err := p.Embed(); !errors.Is(err, linker.ErrSigned) {
		t.Errorf("embed: %v, want %v", err, linker.ErrSigned)
	}
	if now, _ := os.ReadFile(bin); !bytes.Equal(now, before) {
		t.Error("the file was changed")
	}
	checkAlone(t, bin)
}

// checkAlone checks that no temporary file was left in the program's folder.
func checkAlone(t *testing.T, bin string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(bin))
	if err != nil || len(files) != 1 {
		t.Errorf("left in the folder: %v, %v", files, err)
	}
}

// capabilities let a file bind low ports, in the kernel's format
// (linux/capability.h, struct vfs_cap_data of revision 2).
const capabilities = "\x01\x00\x00\x02" + "\x00\x04\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// Embed preserves mode, owner, attributes and links.
func TestEmbedKeeps(t *testing.T) {
	bin := copyTo(t, plainBinary(t))
	if err := os.Chmod(bin, 0o751|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	owner := os.Geteuid() == 0
	if owner {
		if err := os.Chown(bin, 1234, 5678); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(bin, 0o751|os.ModeSetuid); err != nil {
			t.Fatal(err)
		}
	}
	attribute := setAttribute(bin, "user.meminspect", "kept")
	capable := setAttribute(bin, "security.capability", capabilities)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(bin, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	embed(t, link, "")
	after, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	if after.Mode() != before.Mode() || after.Size() <= before.Size() || os.SameFile(before, after) {
		t.Errorf("before %v, after %v", before, after)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is now %v, %v", info, err)
	}
	if owner && ownerOf(after) != [2]uint32{1234, 5678} {
		t.Errorf("owner %v", ownerOf(after))
	}
	if attribute && getAttribute(bin, "user.meminspect") != "kept" {
		t.Error("an extended attribute was lost")
	}
	if capable && getAttribute(bin, "security.capability") != capabilities {
		t.Error("the file lost its capabilities, which a change of owner takes away")
	}
	checkAlone(t, bin)
}

// A program that was rebuilt after it was read does not get the section of the
// old build.
func TestEmbedIntoAnotherBuild(t *testing.T) {
	bin := copyTo(t, plainBinary(t))
	p := open(t, bin)
	other, err := os.ReadFile(build{args: "-tags=meminspect_off"}.run(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(bin); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bin, other, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Embed(); err == nil || !strings.Contains(err.Error(), "another build") {
		t.Errorf("embed: %v", err)
	}
	if now, err := os.ReadFile(bin); err != nil || !bytes.Equal(now, other) {
		t.Errorf("the file was changed, %v", err)
	}
}

// A file without section headers gets some.
func TestEmbedWithoutSections(t *testing.T) {
	bin := copyTo(t, plainBinary(t))
	cutSections(t, bin)
	// Data that only section headers described may now be anything.
	if _, err := open(t, bin).Embed(); !errors.Is(err, linker.ErrTrailer) {
		t.Errorf("embed with unknown data after the program: %v", err)
	}
	if err := os.Truncate(bin, int64(open(t, bin).File().SegmentsEnd())); err != nil {
		t.Fatal(err)
	}
	before := ask(t, bin)
	wrote := embed(t, bin, "")
	if !slices.ContainsFunc(wrote.Notes, func(note string) bool { return strings.Contains(note, "strip would") }) {
		t.Errorf("no word of what strip would do now: %q", wrote.Notes)
	}
	if diff := cmp.Diff(wrote, read(t, bin)); diff != "" {
		t.Errorf("written (-), read (+):\n%s", diff)
	}
	if diff := cmp.Diff(before, ask(t, bin)); diff != "" {
		t.Errorf("the program reports, before (-) and after (+):\n%s", diff)
	}
	if out := command(t, "readelf", "-SW", bin); !bytes.Contains(out, []byte(embedded.SectionName)) || !bytes.Contains(out, []byte(".shstrtab")) {
		t.Errorf("readelf:\n%s", out)
	}
}
