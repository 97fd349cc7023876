//go:build !meminspect_off

package logring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/slogtest"
	"time"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/logring"
)

// memory returns the ring's bytes as an external reader finds them.
func memory(tb testing.TB, r *Ring) []byte {
	tb.Helper()
	for region := range meminspect.Regions() {
		if uint64(region.ID) == anchor.IDLog && region.Addr() == uintptr(unsafe.Pointer(&r.data[0]))-logring.HeaderSize {
			return unsafe.Slice((*byte)(region.Hold()), region.Size)
		}
	}
	tb.Fatal("the ring is not among the regions")
	return nil
}

func read(tb testing.TB, r *Ring) []logring.Record {
	tb.Helper()
	records, _, err := logring.Read(memory(tb, r))
	if err != nil {
		tb.Fatal(err)
	}
	return records
}

func asMap(attrs []logring.Attr) map[string]any {
	m := map[string]any{}
	for _, a := range attrs {
		if group, ok := a.Value.([]logring.Attr); ok {
			m[a.Key] = asMap(group)
			continue
		}
		m[a.Key] = a.Value
	}
	return m
}

func TestSlogtest(t *testing.T) {
	ring := New(1 << 20)
	defer ring.Close()
	err := slogtest.TestHandler(ring.Handler(nil), func() []map[string]any {
		var out []map[string]any
		for _, r := range read(t, ring) {
			m := asMap(r.Attrs)
			if !r.Time.IsZero() {
				m[slog.TimeKey] = r.Time
			}
			m[slog.LevelKey] = slog.Level(r.Level)
			m[slog.MessageKey] = r.Message
			out = append(out, m)
		}
		return out
	})
	if err != nil {
		t.Error(err)
	}
}

// The next handler and the ring each receive the records of their levels.
func TestWraps(t *testing.T) {
	ring := New(1 << 16)
	defer ring.Close()
	var text strings.Builder
	next := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn})
	l := slog.New(ring.Handler(next)).With("a", 1).WithGroup("g")
	l.Debug("debug")
	l.Info("info", "b", 2)
	l.Warn("warn")
	var got []string
	for _, r := range read(t, ring) {
		got = append(got, r.Message+fmt.Sprint(r.Attrs))
	}
	if want := []string{"info[{a 1} {g [{b 2}]}]", "warn[{a 1}]"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if strings.Count(text.String(), "\n") != 1 || !strings.Contains(text.String(), "msg=warn a=1") {
		t.Errorf("the next handler has %q", text.String())
	}
	if !slog.New(ring.Handler(nil).WithLevel(slog.LevelDebug)).Enabled(context.Background(), slog.LevelDebug) {
		t.Error("level Debug was asked for")
	}
}

func TestWriterAndTee(t *testing.T) {
	ring := New(1 << 16)
	defer ring.Close()
	var lines []string
	ring.Tee(func(line []byte) { lines = append(lines, string(line)) })
	log.New(ring.Writer(), "", 0).Print("plain text")
	slog.New(ring.Handler(nil)).WithGroup("g").Info("two\nlines", "key", "a b", "n", -1, "d", time.Second, "ok", true)
	rs := read(t, ring)
	if len(rs) != 2 || rs[0].Message != "plain text" || !rs[0].Plain {
		t.Errorf("%+v", rs)
	}
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "Z plain text\n") || !strings.HasSuffix(lines[1], `Z INFO two lines g.key="a b" g.n=-1 g.d=1s g.ok=true`+"\n") {
		t.Errorf("%q", lines)
	}
	ring.Tee(nil)
	log.New(ring.Writer(), "", 0).Print("for the ring alone")
	if len(lines) != 2 || len(read(t, ring)) != 3 {
		t.Errorf("without a tee: %q, %d records", lines, len(read(t, ring)))
	}
}

// Old records are overwritten as a whole: the remaining ones are the end of
// what was written, in order and unbroken, for any record lengths.
func TestOldestGiveWayWhole(t *testing.T) {
	ring := New(leastSize)
	defer ring.Close()
	l := slog.New(ring.Handler(nil))
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 3000 {
		l.Info(strings.Repeat("x", rng.IntN(300)), "i", i)
		rs := read(t, ring)
		if len(rs) == 0 || rs[len(rs)-1].Attrs[0].Value != int64(i) {
			t.Fatalf("record %d is not the last", i)
		}
		for j := range rs {
			if want := int64(i - len(rs) + 1 + j); rs[j].Attrs[0].Value != want || rs[j].Sequence != uint64(want)+1 {
				t.Fatalf("after %d: record %d of %d is %v, want %d", i, j, len(rs), rs[j].Attrs, want)
			}
		}
	}
}

// A record that is too long is truncated and flagged.
func TestLongRecords(t *testing.T) {
	ring := New(leastSize)
	defer ring.Close()
	l := slog.New(ring.Handler(nil))
	l.Info(strings.Repeat("m", 5000))
	l.Info("short", "fits", 1, "long", strings.Repeat("a", 5000), "after", 2)
	rs := read(t, ring)
	if len(rs) != 2 || !rs[0].Truncated || len(rs[0].Message) < 500 || !rs[1].Truncated || fmt.Sprint(rs[1].Attrs) != "[{fits 1}]" {
		t.Errorf("%+v", rs)
	}
}

// With many concurrent writers each record is complete or missing, and in a
// ring that is large enough none is missing.
func TestConcurrentWriters(t *testing.T) {
	for _, size := range []int{leastSize, 1 << 20} {
		ring := New(size)
		l := slog.New(ring.Handler(nil))
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range 200 {
					l.Info(strings.Repeat(string(rune('a'+g)), i), "g", g, "i", i)
				}
			}()
		}
		wg.Wait()
		rs := read(t, ring)
		for _, r := range rs {
			g, i := r.Attrs[0].Value.(int64), r.Attrs[1].Value.(int64)
			if r.Message != strings.Repeat(string(rune('a'+g)), int(i)) {
				t.Errorf("record of %d/%d: %q", g, i, r.Message)
			}
		}
		if size > leastSize && len(rs) != 1600 {
			t.Errorf("%d records of 1600", len(rs))
		}
		ring.Close()
	}
}

func TestNoAllocations(t *testing.T) {
	ring := New(1 << 20)
	defer ring.Close()
	h := ring.Handler(nil).WithAttrs([]slog.Attr{slog.Int("a", 1)})
	l := slog.New(h)
	if n := testing.AllocsPerRun(1000, func() {
		l.LogAttrs(context.Background(), slog.LevelInfo, "message", slog.String("s", "text"), slog.Int("n", 42), slog.Duration("d", time.Second), slog.Bool("b", true))
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

// A file keeps its records from one run to the next, and has one writer at a
// time.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	first, err := Open(path, 1<<16)
	if errors.Is(err, ErrSystem) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 1<<16); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	slog.New(first.Handler(nil)).Info("first")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	slog.New(second.Handler(nil)).Info("second")
	rs := read(t, second)
	if len(rs) != 2 || rs[0].Message != "first" || rs[1].Message != "second" || rs[1].Sequence != 2 {
		t.Errorf("%+v", rs)
	}
}

// A goroutine that logs while the program closes the ring, or afterwards, loses
// its records and nothing else. The next process to open the file owns it
// alone.
func TestLogAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	first, err := Open(path, 1<<16)
	if errors.Is(err, ErrSystem) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(first.Handler(nil))
	stop := make(chan struct{})
	var written atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
					log.Info("late")
					written.Add(1)
				}
			}
		}()
	}
	more := func() {
		for n := written.Load(); written.Load() < n+10; {
			runtime.Gosched()
		}
	}
	more()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	more()
	close(stop)
	wg.Wait()
	second, err := Open(path, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	log.Info("lost")
	slog.New(second.Handler(nil)).Info("second")
	rs := read(t, second)
	if n := len(rs); n < 2 || rs[n-1].Message != "second" || rs[n-2].Message != "late" {
		t.Errorf("%d records", n)
	}
}

// Open does not overwrite a ring of a later version.
func TestOpenLaterVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	r, err := Open(path, 1<<16)
	if errors.Is(err, ErrSystem) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	slog.New(r.Handler(nil)).Info("first")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before[logring.OffVersion]++
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 1<<16); err == nil {
		t.Error("opened")
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file is another now, %v", err)
	}
}

// An endless is a group that contains itself.
type endless struct{}

func (e endless) LogValue() slog.Value { return slog.GroupValue(slog.Any("again", e)) }

// The ring stays readable however deep a program nests its groups.
func TestDeepGroups(t *testing.T) {
	ring := New(1 << 16)
	defer ring.Close()
	log := slog.New(ring.Handler(nil))
	log.Info("endless", "e", endless{}, "after", 1)
	deep, groups := log, log
	for range logring.MaxDepth + 50 {
		deep = deep.WithGroup("g")
	}
	for range logring.MaxDepth {
		groups = groups.WithGroup("g")
	}
	deep.Info("deep", "a", 1)
	groups.With(slog.Group("more", "b", 2)).Info("groups", "a", 1)
	log.Info("last", "a", 1)
	rs := read(t, ring)
	if len(rs) != 4 || rs[3].Message != "last" {
		t.Fatalf("%d records", len(rs))
	}
	if !rs[0].Truncated || rs[1].Truncated || rs[3].Truncated {
		t.Errorf("truncated: %v %v %v", rs[0].Truncated, rs[1].Truncated, rs[3].Truncated)
	}
	at := rs[1].Attrs
	for depth := 0; ; depth++ {
		if len(at) != 1 {
			t.Fatalf("%d attributes in group %d", len(at), depth)
		}
		inner, ok := at[0].Value.([]logring.Attr)
		if !ok {
			if depth != logring.MaxDepth || at[0] != (logring.Attr{Key: "a", Value: int64(1)}) {
				t.Errorf("%v in group %d", at[0], depth)
			}
			break
		}
		at = inner
	}
}

// LogValuer, error and other values keep their text.
func TestValues(t *testing.T) {
	ring := New(1 << 16)
	defer ring.Close()
	slog.New(ring.Handler(nil)).Info("m", "err", io.EOF, "struct", struct{ A int }{3}, "raw", []byte("bytes"), "nil", nil, "u", uint64(1)<<63, "f", 0.5, "t", time.Unix(5, 0),
		"never", time.Time{}, "far", time.Date(3000, 1, 2, 3, 4, 5, 0, time.UTC), "last", time.Unix(1<<63/1_000_000_000, 999_999_999))
	got := fmt.Sprint(read(t, ring)[0].Attrs)
	want := fmt.Sprintf("[{err EOF} {struct {A:3}} {raw bytes} {nil <nil>} {u 9223372036854775808} {f 0.5} {t %v} {never 0001-01-01T00:00:00Z} {far 3000-01-02T03:04:05Z} {last 2262-04-11T23:47:16.999999999Z}]", time.Unix(5, 0))
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func BenchmarkRecord(b *testing.B) {
	attrs := []slog.Attr{slog.String("s", "text"), slog.Int("n", 42), slog.Duration("d", time.Second), slog.Bool("b", true)}
	ring := New(1 << 20)
	defer ring.Close()
	for _, c := range []struct {
		name string
		h    slog.Handler
	}{{"ring", ring.Handler(nil)}, {"TextHandler-Discard", slog.NewTextHandler(io.Discard, nil)}} {
		b.Run(c.name, func(b *testing.B) {
			l := slog.New(c.h)
			b.ReportAllocs()
			for b.Loop() {
				l.LogAttrs(context.Background(), slog.LevelInfo, "message", attrs...)
			}
		})
	}
}
