package capture

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/capture/internal/read"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/core/siginfo"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// reasonDumped is the reason of a full core that names no signal: a debugger
// wrote it on request.
const reasonDumped = "dumped"

// Filter is [Capture] for a process that has ended and left a full core: it
// makes the same core from the full core's content. It records missing memory
// as unreadable.
//
// An empty Options.Reason means the signal that ended the process, or "dumped".
// Options about stopping have no effect.
func Filter(ctx context.Context, full *fullcore.Core, opts Options) (*Core, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
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
	opts.setDefaults()
	j := job{source: full, opts: &opts, began: time.Now(), when: full.When, record: opts.record()}
	j.describe(full)
	hold := read.FirstThread(read.Dead(j.threadsOf(full)), opts.Request.Thread)
	if reader := opts.Request.Heap; reader != nil {
		heap, err := reader.OfCore(ctx, full)
		hold = j.withHeap(hold, heap, err)
	}
	c, err := j.run(ctx, func(p *locate.Program, pl *model.Plan) (*model.Snapshot, error) {
		return read.Consistent(ctx, p, pl, hold, j.size, nil, opts.report)
	})
	switch {
	case err != nil && full.Cut > 0:
		return nil, fmt.Errorf("filter: %w (the full core is cut short: %d bytes are missing)", err, full.Cut)
	case err != nil:
		return nil, fmt.Errorf("filter: %w", err)
	}
	return c, nil
}

// describe records the source of the capture.
func (j *job) describe(full *fullcore.Core) {
	j.fullCore = full.Path
	if full.Path == "" {
		j.fullCore = "a stream"
	}
	add := func(key, value string) {
		j.record = j.record.With(note.Pair{Key: key, Value: value})
	}
	size := strconv.FormatInt(full.Size, 10) + " bytes"
	if full.Cut > 0 {
		size += fmt.Sprintf(", cut short: %d bytes are missing", full.Cut)
		j.problems.Missing("full core", fmt.Errorf("it is cut short: %d bytes are missing at its end", full.Cut))
	}
	add("full core", j.fullCore+", "+size)
	if !full.Modified.IsZero() {
		add("written", full.Modified.UTC().Format(time.RFC3339))
	}
	add("filtered", j.began.UTC().Format(time.RFC3339))
	for _, m := range full.Mentions {
		add("remark", m)
		j.problems.Mention("full core", m, "")
	}
}

// threadsOf returns the threads of a full core.
func (j *job) threadsOf(full *fullcore.Core) model.Threads {
	t := model.Threads{List: full.Threads(), SigInfo: full.SigInfo()}
	t.All, t.Known = len(t.List), len(t.List)
	if len(t.List) == 0 {
		j.problems.Missing("threads", errors.New("the core has none, or they were cut off"))
		// Debuggers reject a core without a thread.
		th := process.Thread{ID: max(full.PID(), 1), Machine: full.Machine()}
		th.Place(0, 0, 0)
		t.List = append(t.List, th)
	}
	return t
}
