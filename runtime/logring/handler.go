package logring

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A Handler writes slog records to a ring and passes them on to another handler.
type Handler struct {
	ring   *Ring
	next   slog.Handler // or nil
	level  slog.Leveler
	tokens []byte // encoded attributes and groups of WithAttrs and WithGroup
	depth  int    // number of open groups in tokens
}

// Handler returns a handler that writes records of level Info and above to the
// ring, and passes every record on to next if next is enabled for it. next may
// be nil.
func (r *Ring) Handler(next slog.Handler) *Handler {
	return &Handler{ring: r, next: next, level: slog.LevelInfo}
}

// WithLevel returns a handler that writes records of at least level to the
// ring, independent of the next handler's level.
func (h *Handler) WithLevel(level slog.Leveler) *Handler {
	c := *h
	c.level = level
	return &c
}

// Enabled reports whether the ring or the next handler is enabled for the
// level.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return !registry.Off && level >= h.level.Level() || h.next != nil && h.next.Enabled(ctx, level)
}

// Handle writes the record to the ring and passes it on. It returns the next
// handler's error; the ring returns none.
func (h *Handler) Handle(ctx context.Context, rec slog.Record) error {
	if !registry.Off && rec.Level >= h.level.Level() {
		d := h.ring.draft()
		d.message(rec.Message)
		d.raw(h.tokens, h.depth)
		rec.Attrs(func(a slog.Attr) bool {
			d.attr(a)
			return !d.truncated
		})
		h.ring.commit(d, rec.Time, int(rec.Level), rec.PC, 0)
	}
	if h.next != nil && h.next.Enabled(ctx, rec.Level) {
		return h.next.Handle(ctx, rec)
	}
	return nil
}

// WithAttrs returns a handler whose records have attrs.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	d := &draft{b: slices.Clone(h.tokens), depth: h.depth, longest: math.MaxInt}
	for _, a := range attrs {
		d.attr(a)
	}
	c := *h
	c.tokens = d.b
	if h.next != nil {
		c.next = h.next.WithAttrs(attrs)
	}
	return &c
}

// WithGroup returns a handler that puts all following attributes into a group.
// The ring merges groups deeper than 100.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	if h.depth < logring.MaxDepth {
		d := &draft{b: slices.Clone(h.tokens), longest: math.MaxInt}
		d.open(name)
		c.tokens, c.depth = d.b, h.depth+1
	}
	if h.next != nil {
		c.next = h.next.WithGroup(name)
	}
	return &c
}

// Writer returns a writer for package log: log.SetOutput(…). Each Write is a
// record.
func (r *Ring) Writer() Writer { return Writer{r} }

// A Writer writes lines to a ring.
type Writer struct{ ring *Ring }

// Write adds a record of p without its last line breaks. It returns no error.
func (w Writer) Write(p []byte) (int, error) {
	if registry.Off {
		return len(p), nil
	}
	line := p
	for len(line) > 0 && line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	d := w.ring.draft()
	d.message(unsafe.String(unsafe.SliceData(line), len(line)))
	w.ring.commit(d, time.Now(), int(slog.LevelInfo), 0, logring.FlagPlain)
	return len(p), nil
}

// message puts the record's message first and truncates it if necessary.
func (d *draft) message(s string) {
	if room := d.longest - len(d.b) - 4; len(s) > room {
		s = s[:room]
		d.truncated = true
	}
	d.text(s)
}

func (d *draft) raw(tokens []byte, depth int) {
	if len(d.b)+len(tokens) > d.longest {
		d.truncated = true
		return
	}
	d.b = append(d.b, tokens...)
	d.depth = depth
}

// attr appends an attribute, whole or not at all.
func (d *draft) attr(a slog.Attr) {
	v := a.Value
	kind := v.Kind()
	if kind == slog.KindLogValuer { // Resolve is slow for other kinds too
		v = v.Resolve()
		kind = v.Kind()
	}
	if d.truncated || a.Key == "" && v.Equal(slog.Value{}) {
		return
	}
	before := len(d.b)
	switch kind {
	case slog.KindGroup:
		if d.depth == logring.MaxDepth {
			d.truncated = true
			return
		}
		d.open(a.Key)
		d.depth++
		for _, m := range v.Group() {
			d.attr(m)
		}
		d.depth--
		d.key(logring.TokenClose, "")
	case slog.KindString:
		d.key(logring.TokenString, a.Key)
		d.text(v.String())
	case slog.KindBool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		d.number(logring.TokenBool, a.Key, n)
	case slog.KindInt64:
		d.number(logring.TokenInt, a.Key, uint64(v.Int64()))
	case slog.KindUint64:
		d.number(logring.TokenUint, a.Key, v.Uint64())
	case slog.KindFloat64:
		d.number(logring.TokenFloat, a.Key, math.Float64bits(v.Float64()))
	case slog.KindDuration:
		d.number(logring.TokenDuration, a.Key, uint64(v.Duration()))
	case slog.KindTime:
		if !countable(v.Time()) {
			d.key(logring.TokenString, a.Key)
			d.text(v.Time().UTC().Format(time.RFC3339Nano))
			break
		}
		d.number(logring.TokenTime, a.Key, uint64(v.Time().UnixNano()))
	default:
		d.key(logring.TokenString, a.Key)
		at := len(d.b)
		d.b = append(d.b, 0, 0, 0, 0)
		d.b = appendAny(d.b, v.Any())
		put32(d.b[at:], uint32(len(d.b)-at-4))
	}
	if len(d.b) > d.longest {
		d.b = d.b[:before]
		d.truncated = true
	}
}

// countable reports whether t can be represented in nanoseconds since 1970. The
// zero time cannot.
func countable(t time.Time) bool {
	const most = math.MaxInt64 / int64(time.Second) // the last, partial second is left out
	s := t.Unix()
	return -most < s && s < most
}

// appendAny prints a value without an slog kind, which may allocate. fmt
// recovers panics of its methods.
func appendAny(b []byte, v any) []byte {
	switch v := v.(type) {
	case []byte:
		return append(b, v...)
	case error, fmt.Stringer:
		return fmt.Append(b, v)
	}
	return fmt.Appendf(b, "%+v", v)
}

func (d *draft) open(key string) { d.key(logring.TokenOpen, key) }

func (d *draft) key(kind byte, key string) {
	if len(key) > math.MaxUint16 {
		key = key[:math.MaxUint16]
		d.truncated = true
	}
	d.b = append(append(d.b, kind, byte(len(key)), byte(len(key)>>8)), key...)
}

func (d *draft) number(kind byte, key string, n uint64) {
	d.key(kind, key)
	d.b = binary.LittleEndian.AppendUint64(d.b, n)
}

func (d *draft) text(s string) {
	d.b = append(binary.LittleEndian.AppendUint32(d.b, uint32(len(s))), s...)
}
