package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/format/ramoops"
)

// logFlags are the flags of log.
type logFlags struct {
	pstore, ring string
	level        string
	since, until string
	json         bool
}

func logCommand() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "log [CORE]",
		Short: "Print the last log records of a program",
		Long: `Print the log records that a program kept with package logring, oldest first:
from a core, from a running process, from the file of a ring, or the console of a
pstore file. Records that were incomplete when the program died are not shown.

LEVEL is DEBUG, INFO, WARN, ERROR or one of those and a distance (WARN+1). Times
are RFC 3339, or a duration before now (10m).`,
		Example: `  meminspect log shop.core
  meminspect log --level WARN --json shop.core
  meminspect log --file shop.ring
  meminspect log --pstore shop.pstore`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.run(cmd, args); err != nil {
				return fmt.Errorf("log: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&f.pstore, "pstore", "", "read the console of a pstore `FILE`")
	cmd.Flags().StringVar(&f.ring, "file", "", "read a ring `FILE`, as logring.Open makes it")
	cmd.Flags().StringVar(&f.level, "level", "", "records of this `LEVEL` and above")
	cmd.Flags().StringVar(&f.since, "since", "", "records from this `TIME` on")
	cmd.Flags().StringVar(&f.until, "until", "", "records up to this `TIME`")
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	return cmd
}

func (f *logFlags) run(cmd *cobra.Command, args []string) error {
	w := cmd.OutOrStdout()
	keep, err := f.filter(time.Now())
	if err != nil {
		return err
	}
	sources := len(args)
	for _, set := range []bool{f.pstore != "", f.ring != ""} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		return errors.New("give one of CORE, --file and --pstore")
	}
	if f.pstore != "" {
		return f.console(w, keep)
	}
	logs, err := f.logs(cmd, args)
	if err != nil {
		return err
	}
	for _, log := range logs {
		for i := range log.Records {
			r := &log.Records[i]
			if !keep(slog.Level(r.Level), r.Time) {
				continue
			}
			if err := f.print(w, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// logLines are what a program that keeps no log needs.
const logLines = `add these lines to it, with github.com/meminspect/meminspect/runtime/logring:
  ring := logring.New(1 << 20)
  slog.SetDefault(slog.New(ring.Handler(slog.NewTextHandler(os.Stderr, nil))))`

func (f *logFlags) logs(cmd *cobra.Command, args []string) ([]inspect.Log, error) {
	if f.ring != "" {
		b, err := readFile(f.ring)
		if err != nil {
			return nil, err
		}
		records, lost, err := logring.Read(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.ring, err)
		}
		return []inspect.Log{{Name: f.ring, Records: records, Lost: lost}}, nil
	}
	if pid, ok := processID(args[0]); ok && !stops(cmd) {
		return inspect.LiveLogs(pid)
	}
	core, err := openCore(cmd, args[0])
	if err != nil {
		return nil, err
	}
	defer core.Close()
	logs, err := core.Logs()
	if errors.Is(err, inspect.ErrNoLog) {
		err = fmt.Errorf("%w: %s", err, logLines)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	return logs, nil
}

// filter returns the filter that the flags select.
func (f *logFlags) filter(now time.Time) (func(slog.Level, time.Time) bool, error) {
	least := slog.Level(-1 << 31)
	if f.level != "" {
		if err := least.UnmarshalText([]byte(f.level)); err != nil {
			return nil, fmt.Errorf("--level %s: want DEBUG, INFO, WARN, ERROR or a distance from one", f.level)
		}
	}
	since, err1 := parseTime(f.since, now)
	until, err2 := parseTime(f.until, now)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return func(level slog.Level, t time.Time) bool {
		return level >= least && (since.IsZero() || !t.Before(since)) && (until.IsZero() || !t.After(until))
	}, nil
}

func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := duration.Parse(s); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: want 2006-01-02T15:04:05Z or a duration like 10m", s)
	}
	return t, nil
}

func (f *logFlags) print(w io.Writer, r *logring.Record) error {
	if f.json {
		return jsonLines(w).Encode(logJSON(r))
	}
	_, err := fmt.Fprintln(w, recordText(r, "2006-01-02T15:04:05.000000Z "))
	return err
}

// recordText formats a record as a line. layout is the format of its time.
func recordText(r *logring.Record, layout string) string {
	var b strings.Builder
	if !r.Time.IsZero() {
		b.WriteString(r.Time.UTC().Format(layout))
	}
	if !r.Plain {
		b.WriteString(slog.Level(r.Level).String() + " ")
	}
	b.WriteString(oneLine(r.Message))
	if attrs := inspect.AttrText(r.Attrs); attrs != "" {
		b.WriteString(" " + oneLine(attrs))
	}
	if r.Truncated {
		b.WriteString(" …")
	}
	return b.String()
}

// oneLine prevents a program's log text from moving the cursor.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

// recordJSON is a record as --json prints it.
type recordJSON struct {
	Sequence  uint64         `json:"sequence,omitempty,string"`
	Time      *time.Time     `json:"time,omitempty"`
	Level     string         `json:"level,omitempty"`
	Message   string         `json:"message"`
	Attrs     map[string]any `json:"attributes,omitempty"`
	Truncated bool           `json:"truncated,omitempty"`
}

func logJSON(r *logring.Record) recordJSON {
	out := recordJSON{Sequence: r.Sequence, Message: r.Message, Attrs: attrsJSON(r.Attrs), Truncated: r.Truncated}
	if !r.Plain {
		out.Level = slog.Level(r.Level).String()
	}
	if !r.Time.IsZero() {
		t := r.Time.UTC()
		out.Time = &t
	}
	return out
}

func attrsJSON(attrs []logring.Attr) map[string]any {
	if len(attrs) == 0 {
		return nil
	}
	m := map[string]any{}
	for _, a := range attrs {
		switch v := a.Value.(type) {
		case []logring.Attr:
			m[a.Key] = attrsJSON(v)
		case int64:
			m[a.Key] = strconv.FormatInt(v, 10)
		case uint64:
			m[a.Key] = strconv.FormatUint(v, 10)
		case time.Duration:
			m[a.Key] = duration.Seconds(v)
		case float64:
			m[a.Key] = v
			if v != v || v > 1e308 || v < -1e308 {
				m[a.Key] = fmt.Sprint(v) // JSON cannot represent it
			}
		default:
			m[a.Key] = v
		}
	}
	return m
}

// console prints the lines of a pstore file's console. A line that logring
// wrote has its time and level; other lines are always shown.
func (f *logFlags) console(w io.Writer, keep func(slog.Level, time.Time) bool) error {
	b, err := readFile(f.pstore)
	if err != nil {
		return err
	}
	zones, err := ramoops.Read(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.pstore, err)
	}
	for i := range zones {
		if zones[i].Kind != ramoops.Text {
			continue
		}
		for line := range strings.Lines(zones[i].Text) {
			r := parseLine(strings.TrimSuffix(line, "\n"))
			if !r.Time.IsZero() && !keep(slog.Level(r.Level), r.Time) {
				continue
			}
			if err := f.print(w, &r); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseLine(line string) logring.Record {
	r := logring.Record{Message: line, Plain: true}
	first, rest, _ := strings.Cut(line, " ")
	when, err := time.Parse("2006-01-02T15:04:05.000000Z", first)
	if err != nil {
		return r
	}
	r.Time, r.Message = when, rest
	word, rest, _ := strings.Cut(rest, " ")
	var level slog.Level
	if level.UnmarshalText([]byte(word)) == nil {
		r.Level, r.Message, r.Plain = int(level), rest, false
	}
	return r
}
