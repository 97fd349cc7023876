package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Each archive in testdata has a snapshot and the core that Build must make of
// it, both as text. UPDATE_SCRIPTS=1 rewrites the cores.
func TestBuild(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 2 || archive.Files[0].Name != "snapshot" || archive.Files[1].Name != "core" {
				t.Fatal("want the files snapshot and core")
			}
			got := coreOf(t, string(archive.Files[0].Data))
			want := &archive.Files[1].Data
			if string(*want) == got {
				return
			}
			if os.Getenv("UPDATE_SCRIPTS") == "" {
				t.Fatalf("the core is\n%swant\n%s", got, *want)
			}
			*want = []byte(got)
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The same snapshot always makes the same core, byte by byte: it does not
// depend on the time or the process.
func TestBuildIsPure(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/skeleton.txtar")
	if err != nil {
		t.Fatal(err)
	}
	made := func() []byte {
		var file bytes.Buffer
		if _, err := build(t, string(archive.Files[0].Data)).Write(&file); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	if first, second := made(), made(); !bytes.Equal(first, second) {
		t.Error("two cores of one snapshot differ")
	}
}

func build(t *testing.T, text string) *Core {
	t.Helper()
	s := &script{t: t, plan: model.Plan{Options: model.Options{Segments: 2000, Budget: 1 << 30}}}
	s.snapshot.Identity = model.Identity{Path: "/bin/shop", PID: 7, Machine: elfcore.MachineAMD64, Build: model.Build{GoVersion: "go1.26"}}
	s.snapshot.Redaction.Redactor = &walk.Redactor{}
	s.snapshot.Goroutines.Note.Stacks = note.StackFull
	s.snapshot.Functions.Calls = map[memory.Address][]note.Function{}
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 0 {
			s.line, s.words = n+1, fields[1:]
			s.do(fields[0])
			if len(s.words) > 0 {
				t.Fatalf("line %d: %v is left over", s.line, s.words)
			}
		}
	}
	core, err := Build(&s.snapshot, &s.plan, Record{Record: request.Record{Reason: "asked"}, When: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// A script parses the text of a snapshot, line by line.
type script struct {
	t        *testing.T
	snapshot model.Snapshot
	plan     model.Plan
	line     int
	words    []string // of the line, not parsed yet
}

// do executes one line.
func (s *script) do(what string) {
	snap := &s.snapshot
	switch what {
	case "segments": // N: to join down to
		s.plan.Segments = int(s.number())
	case "strict":
		s.plan.Strict = true
	case "data": // RANGE: writable memory of the executable
		snap.Identity.Data = memory.RangesOf(append(snap.Identity.Data, s.extent())...)
	case "constant": // RANGE: of the executable
		snap.Maps = append(snap.Maps, process.Mapping{Range: s.extent(), Read: true, Inode: 1})
	case "code": // RANGE
		snap.Maps = append(snap.Maps, process.Mapping{Range: s.extent(), Read: true, Exec: true, Inode: 1})
	case "memory": // ADDRESS "text" | ADDRESS WORD…
		at := s.address()
		data := s.bytes()
		snap.Image.Pieces = append(snap.Image.Pieces, model.Piece{Range: memory.RangeOf(at, uint64(len(data))), Data: data})
	case "hole": // RANGE
		snap.Image.Holes = append(snap.Image.Holes, s.extent())
		snap.Image.Fill(snap.Image.Holes[len(snap.Image.Holes)-1])
	case "torn": // RANGE
		snap.Image.Torn = append(snap.Image.Torn, s.extent())
	case "region": // NAME RANGE [STATUS…]
		s.region()
	case "exclude": // RANGE: exclusions exist, and one covers this
		e, r := snap.Redaction.Redactor, s.extent()
		e.Active, e.Ranges = true, memory.RangesOf(append(e.Ranges, r)...)
		e.Receipts = append(e.Receipts, walk.Receipt{Exclusion: len(e.Receipts), Values: 1, Bytes: r.Size()})
		snap.Redaction.Rules = append(snap.Redaction.Rules, fmt.Sprint("rule ", len(e.Receipts)))
	case "known": // RANGE: memory of known type
		snap.Redaction.Redactor.Allow(memory.Ranges{s.extent()})
	case "stacks": // KIND
		snap.Goroutines.Note.Stacks = map[string]note.StackKind{"none": note.StackNone, "full": note.StackFull, "skeleton": note.StackSkeleton}[s.word()]
	case "stack": // USED WHOLE [secret] [LEAD…]
		s.stack()
	case "thread": // ID PC SP RAX
		s.thread()
	case "goroutine": // THREAD: with secrets, running on this thread
		g := goroutine.G{Addr: 0xc000, Secret: true}
		snap.Goroutines.All, snap.Redaction.Secret = append(snap.Goroutines.All, g), true
		snap.Goroutines.Thread = map[memory.Address]int{g.Addr: int(s.number())}
	case "fault": // OFFSET: of the address of a fault in a goroutine's record
		snap.Redaction.FaultAt = int(s.number())
	case "function": // PC NAME
		pc := s.address()
		snap.Functions.Calls[pc] = []note.Function{{PC: uint64(pc), Entry: uint64(pc), Name: s.word()}}
	case "signal": // NUMBER CODE ADDRESS
		snap.Threads.SigInfo = &elfcore.SigInfo{Signal: int32(s.number()), Code: int32(s.number()), Addr: s.number()}
	case "unreadable": // WHY
		snap.Unreadable, snap.Redaction.Redactor, snap.Identity.GoVersion = s.word(), nil, ""
	default:
		s.t.Fatalf("line %d: %q is not known", s.line, what)
	}
}

func (s *script) region() {
	r := model.Result{Region: model.Region{Region: note.Region{ID: uint64(len(s.snapshot.Regions) + 1), Name: s.word()}}}
	own := s.extent()
	r.Addr, r.Size = uint64(own.Start), own.Size()
	for len(s.words) > 0 {
		switch word := s.word(); word {
		case "cut":
			r.Walk = &walk.RootResult{Cut: true}
		case "writing":
			r.Walk = &walk.RootResult{Status: note.Torn, Failures: 1, Records: []walk.Record{{Kind: walk.MapWriting, Addr: own.Start}}}
		case "failed":
			r.Walk = &walk.RootResult{Status: note.Inconsistent, Failures: 1, Records: []walk.Record{{Kind: walk.BadPointer, Addr: own.Start}}}
		case "gone":
			r.Status = note.Gone
		case "refused":
			r.Refused = true
		default:
			s.t.Fatalf("line %d: %q is no status", s.line, word)
		}
	}
	s.snapshot.Regions = append(s.snapshot.Regions, r)
}

func (s *script) stack() {
	stack := model.Stack{Used: s.extent(), Whole: s.extent()}
	for len(s.words) > 0 {
		if s.words[0] == "secret" {
			stack.Secret = true
			s.word()
			continue
		}
		stack.Leads = append(stack.Leads, s.extent())
	}
	s.snapshot.Redaction.Redactor.Allow(memory.Ranges{stack.Used})
	s.snapshot.Goroutines.Stacks = append(s.snapshot.Goroutines.Stacks, stack)
}

func (s *script) thread() {
	th := process.Thread{ID: int(s.number()), Machine: elfcore.MachineAMD64}
	th.Place(s.number(), s.number(), 0)
	copy(th.General[8*elfcore.AMD64RAX:], s.bytes())
	s.snapshot.Threads.List = append(s.snapshot.Threads.List, th)
}

func (s *script) word() string {
	if len(s.words) == 0 {
		s.t.Fatalf("line %d: a word is missing", s.line)
	}
	word := s.words[0]
	s.words = s.words[1:]
	return word
}

func (s *script) number() uint64 {
	n, err := strconv.ParseUint(s.word(), 0, 64)
	if err != nil {
		s.t.Fatalf("line %d: %v", s.line, err)
	}
	return n
}

func (s *script) address() memory.Address { return memory.Address(s.number()) }

// extent reads FROM-TO.
func (s *script) extent() memory.Range {
	from, to, _ := strings.Cut(s.word(), "-")
	start, err1 := strconv.ParseUint(from, 0, 64)
	end, err2 := strconv.ParseUint(to, 0, 64)
	if err1 != nil || err2 != nil {
		s.t.Fatalf("line %d: no range: %v, %v", s.line, err1, err2)
	}
	return memory.Range{Start: memory.Address(start), End: memory.Address(end)}
}

// bytes reads the rest of the line: a text in quotes, or words of eight bytes.
func (s *script) bytes() []byte {
	rest := strings.Join(s.words, " ")
	if text, err := strconv.Unquote(rest); err == nil {
		s.words = nil
		return []byte(text)
	}
	var data []byte
	for len(s.words) > 0 {
		data = append(data, wordBytes(s.number())...)
	}
	return data
}

func wordBytes(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return b
}

// coreOf returns the core of a snapshot as text.
func coreOf(t *testing.T, snapshot string) string {
	t.Helper()
	core := build(t, snapshot)
	var file bytes.Buffer
	if _, err := core.Write(&file); err != nil {
		t.Fatal(err)
	}
	f, err := elfcore.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range f.Loads {
		printLoad(t, &b, f, &f.Loads[i])
	}
	linux, err := f.Linux()
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range linux.Threads {
		fmt.Fprintf(&b, "thread %d pc %#x sp %#x rax %#x\n", th.TID, th.Registers[elfcore.AMD64RIP], th.Registers[elfcore.AMD64RSP], th.Registers[elfcore.AMD64RAX])
	}
	if s := linux.Signal; s != nil {
		fmt.Fprintf(&b, "signal %d code %d address %#x\n", s.Signal, s.Code, s.Addr)
	}
	for _, n := range f.Notes {
		if n.Name == note.Owner {
			printNote(t, &b, n)
		}
	}
	for _, p := range core.Problems {
		fmt.Fprintf(&b, "problem %s: %s\n", p.What, p.Why)
	}
	fmt.Fprintf(&b, "payload %d\n", core.Payload)
	return b.String()
}

// printLoad prints a segment, and its memory as runs of texts, words and the
// fill pattern.
func printLoad(t *testing.T, b *strings.Builder, f *elfcore.File, l *elfcore.Load) {
	flags := ""
	for i, c := range []uint32{elfcore.FlagRead, elfcore.FlagWrite, elfcore.FlagExec} {
		if l.Flags&c != 0 {
			flags += string("rwx"[i])
		} else {
			flags += "-"
		}
	}
	fmt.Fprintf(b, "segment %v %s\n", memory.RangeOf(memory.Address(l.Addr), l.MemSize), flags)
	data := make([]byte, l.MemSize)
	if _, err := f.ReadMemory(l.Addr, data); err != nil {
		t.Fatal(err)
	}
	fill := func(c byte) bool { return c == elfcore.MarkByte }
	for at := 0; at < len(data); {
		end := at + 1
		for end < len(data) && fill(data[end]) == fill(data[at]) {
			end++
		}
		part := data[at:end]
		switch {
		case fill(part[0]):
			fmt.Fprintf(b, "\tfill %d\n", len(part))
		case len(part)%8 == 0 && bytes.IndexByte(part, 0) >= 0:
			fmt.Fprint(b, "\twords")
			for ; len(part) > 0; part = part[8:] {
				fmt.Fprintf(b, " %#x", word(part))
			}
			fmt.Fprintln(b)
		default:
			fmt.Fprintf(b, "\ttext %q\n", part)
		}
		at = end
	}
}

func word(b []byte) (n uint64) {
	for i := range 8 {
		n |= uint64(b[i]) << (8 * i)
	}
	return n
}

// printNote prints a note of this project.
func printNote(t *testing.T, b *strings.Builder, n elfcore.Note) {
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	switch n.Type {
	case note.TypeCapture:
		c, err := note.DecodeCapture(n.Desc)
		check(err)
		for _, p := range c.Extra {
			fmt.Fprintf(b, "record %s: %s\n", p.Key, p.Value)
		}
	case note.TypeRegions:
		regions, err := note.DecodeRegions(n.Desc)
		check(err)
		for _, r := range regions {
			fmt.Fprintf(b, "region %s %d of %d bytes: %v\n", r.Name, r.Captured, r.Size, r.Status)
		}
	case note.TypeReceipts:
		receipts, err := note.DecodeReceipts(n.Desc)
		check(err)
		for _, r := range receipts {
			fmt.Fprintf(b, "receipt %d bytes at %#x, region %d, %d times: %v %s\n", r.Size, r.Addr, r.ID, r.Count, r.Reason, r.Rule)
		}
	case note.TypeMarked:
		marked, err := note.DecodeMarked(n.Desc)
		check(err)
		for _, m := range marked {
			why := [...]string{note.MarkedGap: "gap", note.MarkedExcluded: "excluded", note.MarkedUnknown: "unknown", note.MarkedHole: "hole"}[m.Why]
			fmt.Fprintf(b, "marked %v %s\n", memory.RangeOf(memory.Address(m.Addr), m.Size), why)
		}
	case note.TypeTorn, note.TypeSkeletons:
		extents, err := note.DecodeExtents(n.Type, n.Desc)
		check(err)
		for _, e := range extents {
			what := map[uint32]string{note.TypeTorn: "torn", note.TypeSkeletons: "skeleton"}[n.Type]
			fmt.Fprintf(b, "%s %v\n", what, memory.RangeOf(memory.Address(e.Addr), e.Size))
		}
	case note.TypeGoroutines:
		g, err := note.DecodeGoroutines(n.Desc)
		check(err)
		fmt.Fprintf(b, "stacks %v\n", g.Stacks)
	case note.TypeFunctions:
		functions, err := note.DecodeFunctions(n.Desc)
		check(err)
		for _, f := range functions {
			fmt.Fprintf(b, "function %#x %s\n", f.PC, f.Name)
		}
	}
}
