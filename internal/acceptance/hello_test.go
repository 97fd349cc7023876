//go:build linux

package acceptance

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meminspect/meminspect/gen"
)

// What the import adds to a hello-world: in the file, and in memory while it
// runs. Anonymous memory is the program's own. Resident memory also holds pages of the
// executable, which the kernel maps in windows of 64 KB around each page that was
// accessed: whether one window more or less is accessed depends on the addresses of
// a few pages, so it measures sixteen layouts, which differ by 4 KB each.
func BenchmarkHello(b *testing.B) {
	const layouts, step = 16, 4 << 10
	variants := []string{"alone", "linked", "registered"}
	dir := helloModule(b)
	var sizes [3]helloSize
	var exes [3][layouts]string
	for i, v := range variants {
		for k := range layouts {
			exes[i][k] = buildHello(b, dir, v, k*step)
		}
		sizes[i] = sizeOf(b, exes[i][0])
	}
	var resident, anonymous [3][layouts][]int
	for b.Loop() {
		for i := range variants {
			for k := range layouts {
				r, a := residentOf(b, exes[i][k])
				resident[i][k], anonymous[i][k] = append(resident[i][k], r), append(anonymous[i][k], a)
			}
		}
	}
	for i, v := range variants {
		name := v
		if i > 0 {
			name += "-adds"
		}
		added := func(of func(i int) float64) float64 {
			if i == 0 {
				return of(0)
			}
			return of(i) - of(0)
		}
		b.ReportMetric(added(func(i int) float64 { return float64(sizes[i].file) }), name+"-text+data-bytes")
		b.ReportMetric(added(func(i int) float64 { return float64(sizes[i].bss) }), name+"-bss-bytes")
		b.ReportMetric(added(func(i int) float64 { return meanOfMedians(resident[i][:]) }), name+"-resident-KB")
		b.ReportMetric(added(func(i int) float64 { return meanOfMedians(anonymous[i][:]) }), name+"-anonymous-KB")
	}
}

// meanOfMedians returns the mean, over all layouts, of the median of their runs.
func meanOfMedians(layouts [][]int) float64 {
	sum := 0
	for _, runs := range layouts {
		slices.Sort(runs)
		sum += runs[len(runs)/2]
	}
	return float64(sum) / float64(len(layouts))
}

// The import adds little to a small program: no package of the standard library whose
// code it does not need.
func TestHelloStaysSmall(t *testing.T) {
	const most = 40 << 10
	dir := helloModule(t)
	alone, linked := sizeOf(t, buildHello(t, dir, "alone", 0)), sizeOf(t, buildHello(t, dir, "linked", 0))
	if added := linked.file - alone.file; added > most {
		t.Errorf("a linked table adds %d bytes, at most %d are expected: see go build -ldflags=-dumpdep", added, most)
	}
}

// buildHello builds one of the three programs of a helloModule, with padding bytes of
// constants, and returns its path.
func buildHello(tb testing.TB, dir, variant string, padding int) string {
	tb.Helper()
	path := filepath.Join(dir, variant, fmt.Sprint("hello-", padding))
	build := exec.Command("go", "build", "-ldflags=-X main.padding="+strings.Repeat("x", padding), "-o", path, "./"+variant)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK="+filepath.Join(dir, "go.work"))
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return path
}

// helloModule writes the three programs, generates, and returns their folder.
func helloModule(tb testing.TB) string {
	tb.Helper()
	archive, err := txtar.ParseFile("testdata/hello.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	runtime, err := filepath.Abs("../../runtime")
	if err != nil {
		tb.Fatal(err)
	}
	work := fmt.Sprintf("go 1.26\n\nuse (\n\t.\n\t%q\n)\n", runtime)
	for _, f := range append(archive.Files, txtar.File{Name: "go.work", Data: []byte(work)}) {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	r, err := gen.Run(tb.Context(), gen.Config{Dir: dir, Patterns: []string{"./..."}, Env: append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"))})
	if err != nil || len(r.Findings) > 0 || len(r.Changes) == 0 {
		tb.Fatalf("generate: %v, %v", r, err)
	}
	return dir
}

type helloSize struct{ file, bss int }

// sizeOf is what size(1) prints: the sections that are loaded from the file, and
// those that begin as zeros.
func sizeOf(tb testing.TB, path string) (s helloSize) {
	tb.Helper()
	f, err := elf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	for _, section := range f.Sections {
		switch {
		case section.Flags&elf.SHF_ALLOC == 0:
		case section.Type == elf.SHT_NOBITS:
			s.bss += int(section.Size)
		default:
			s.file += int(section.Size)
		}
	}
	return s
}

// residentOf runs the program until it has printed hello and returns the kilobytes
// that it has resident by then, and those of them that no file backs.
func residentOf(b *testing.B, path string) (resident, anonymous int) {
	b.Helper()
	cmd := exec.Command(path)
	cmd.Env = []string{"HOME=/", "PATH=/usr/bin:/bin"}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); !strings.HasPrefix(line, "hello") {
		b.Fatalf("the program reports %q: %v", line, err)
	}
	// smaps_rollup sums kernel counters that lag; the lines of smaps do not.
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(maps) {
		var kb int
		if n, _ := fmt.Sscanf(string(line), "Rss: %d kB", &kb); n == 1 {
			resident += kb
		}
		if n, _ := fmt.Sscanf(string(line), "Anonymous: %d kB", &kb); n == 1 {
			anonymous += kb
		}
	}
	if err := in.Close(); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return resident, anonymous
}
