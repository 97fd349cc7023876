package inspect

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/logring"
)

// A Log is what a log ring held.
type Log struct {
	Name    string
	Records []logring.Record // oldest first
	Lost    uint64           // bytes of the ring that belong to no whole record
}

// ErrNoLog reports that a program had no log ring.
var ErrNoLog = errors.New("no log ring: the program does not use package logring")

// maxRing bounds a ring that is read from a program's memory.
const maxRing = 1 << 30

// Logs reads the log rings that a core holds.
func (c *Core) Logs() ([]Log, error) {
	if err := c.NeedRegions(); err != nil {
		return nil, err
	}
	var logs []Log
	left := uint64(c.Bytes)
	for i := range c.Regions {
		r := &c.Regions[i]
		if r.ID != anchor.IDLog || r.Captured == 0 {
			continue
		}
		if r.Size > left { // what is not in the file costs no memory
			return logs, fmt.Errorf("log ring %s has %d bytes, the whole core has %d", r.Name, r.Size, c.Bytes)
		}
		left -= r.Size
		log, err := readLog(r.Name, r.Size, func(b []byte) error {
			_, err := c.ReadMemory(r.Addr, b)
			return err
		})
		if err != nil {
			return logs, err
		}
		logs = append(logs, log)
	}
	if len(logs) == 0 {
		return nil, ErrNoLog
	}
	return logs, nil
}

// readLog reads the ring of size bytes that read fills a buffer with.
func readLog(name string, size uint64, read func(b []byte) error) (Log, error) {
	if size > maxRing {
		return Log{}, fmt.Errorf("log ring %s has %d bytes; at most %d are read", name, size, maxRing)
	}
	mem := make([]byte, size)
	if err := read(mem); err != nil {
		return Log{}, fmt.Errorf("log ring %s: %w", name, err)
	}
	records, lost, err := logring.Read(mem)
	if err != nil {
		return Log{}, fmt.Errorf("log ring %s: %w", name, err)
	}
	return Log{name, records, lost}, nil
}

// LiveLogs reads the log rings of a running process. A record that is being
// written is missing.
func LiveLogs(pid int) ([]Log, error) {
	p, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	name, err := p.ExeName()
	if err != nil {
		return nil, err
	}
	maps, err := p.Maps()
	if err != nil {
		return nil, err
	}
	// The anchor is initialised data, in the mapping of the executable.
	var data memory.Spliced
	for _, m := range maps {
		if m.Path == name && m.Write {
			data.Put(memory.Segment{Range: m.Range, Write: true}, p.Memory())
		}
	}
	found := tables.FindIn(&data, p.Memory())
	if len(found.Anchors) == 0 {
		return nil, errors.Join(append(found.Problems, ErrNoLog)...)
	}
	rings, err := tables.Rings(p.Memory(), found.Anchors[0])
	if err != nil {
		return nil, err
	}
	var logs []Log
	for _, r := range rings {
		log, err := readLog(r.Name, r.Data.Size(), func(b []byte) error {
			_, err := p.Memory().ReadAt(b, r.Data.Start)
			return err
		})
		if err != nil {
			return logs, err
		}
		logs = append(logs, log)
	}
	if len(logs) == 0 {
		return nil, ErrNoLog
	}
	return logs, nil
}

// AttrText returns attributes as text: key=value, separated by spaces. A key of a group
// has the group's in front.
func AttrText(attrs []logring.Attr) string {
	var b strings.Builder
	writeAttrs(&b, "", attrs)
	return b.String()
}

func writeAttrs(b *strings.Builder, prefix string, attrs []logring.Attr) {
	for _, a := range attrs {
		if group, ok := a.Value.([]logring.Attr); ok {
			writeAttrs(b, prefix+a.Key+".", group)
			continue
		}
		value := fmt.Sprint(a.Value)
		if t, ok := a.Value.(time.Time); ok {
			value = t.UTC().Format(time.RFC3339Nano)
		}
		if value == "" || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c == '"' || c == '=' || c == 0x7f }) {
			value = strconv.Quote(value)
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(prefix + a.Key + "=" + value)
	}
}
