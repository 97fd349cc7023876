package capture

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// reasonDumped is the reason of a full core that names no signal: a debugger was
// asked for it.
const reasonDumped = "dumped"

// Filter is Capture for a process that is gone and left a full core: the same core
// is made of it, from what it holds. What it lacks is recorded as unreadable.
//
// An empty Options.Reason is the signal that the process died of, or
// "dumped". Options about stopping mean nothing.
func Filter(ctx context.Context, full *fullcore.Core, opts Options) (*Core, error) {
	reason, died := reasonDumped, 0
	if sig := full.Signal(); siginfo.Dumps(sig) {
		reason, died = siginfo.Reason(sig), sig
	}
	if opts.Reason == "" {
		opts.Reason = reason
	}
	if opts.Request.OnReleased == nil {
		opts.Request.OnReleased = request.PanicOf(died)
	}
	opts.defaults()
	t := newTaking(ctx, full.PID(), opts)
	t.source, t.when, t.lacks, t.machine = full, full.When, full.Lacks, full.Machine()
	if !full.When.IsZero() {
		t.summary.When = full.When
	}
	t.summary.FullCore = full.Path
	if full.Path == "" {
		t.summary.FullCore = "a stream"
	}
	t.aboutFull(full)
	t.sigInfo = full.SigInfo()
	t.threads = full.Threads()
	t.summary.Threads = Count{All: len(t.threads), Captured: len(t.threads)}
	if len(t.threads) == 0 {
		t.summary.problem("threads", errors.New("the core has none, or they were cut off"))
		// Debuggers take no core without a thread.
		th := process.Thread{ID: max(t.summary.PID, 1), Machine: t.machine}
		th.Place(0, 0, 0)
		t.threads = append(t.threads, th)
	}
	t.failedFirst()
	c, err := t.captured(full.Memory())
	switch {
	case err != nil && full.Cut > 0:
		return nil, fmt.Errorf("filter: %w (the full core is cut short: %d bytes are missing)", err, full.Cut)
	case err != nil:
		return nil, fmt.Errorf("filter: %w", err)
	}
	return c, nil
}

// aboutFull records what the capture is made of.
func (t *taking) aboutFull(full *fullcore.Core) {
	add := func(key, value string) {
		t.record = t.record.With(note.Pair{Key: key, Value: value})
	}
	size := strconv.FormatInt(full.Size, 10) + " bytes"
	if full.Cut > 0 {
		size += fmt.Sprintf(", cut short: %d bytes are missing", full.Cut)
		t.summary.problem("full core", fmt.Errorf("it is cut short: %d bytes are missing at its end", full.Cut))
	}
	add("full core", t.summary.FullCore+", "+size)
	if !full.Modified.IsZero() {
		add("written", full.Modified.UTC().Format(time.RFC3339))
	}
	add("filtered", t.began.UTC().Format(time.RFC3339))
	for _, m := range full.Mentions {
		add("remark", m)
		t.summary.mention("full core", m, "")
	}
}
