package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meminspect/meminspect/capture/internal/build"
	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/capture/internal/read"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/request"
)

// WriteStub returns a core without memory, for a process that may not be read
// or is not a readable Go program. The core has the kernel's facts about the
// process and the reason why there is not more. cause is the error of
// [Capture]. WriteStub fails if the process has ended, or if a tag in the
// options is invalid.
func WriteStub(pid int, opts Options, cause error) (*Core, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	opts.setDefaults()
	j := job{opts: &opts, began: time.Now(), record: opts.record()}
	j.when = j.began
	j.problems.Missing("memory", cause)
	for _, check := range Diagnose(pid) {
		if !check.OK {
			j.problems.Mention(check.What, check.Note, check.Fix)
		}
	}
	live, err := locate.Open(pid)
	if err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	defer live.Close()
	identity, maps, err := locate.Outline(live)
	if err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	hold := read.Listed(live.Process)
	if dump := opts.Request.Hold.Dump; dump != nil {
		hold = read.Dumped(live.Process, dump, identity.Auxv, hold)
	}
	identity.Host.Place = opts.Place.Or(identity.Host.Place)
	held, err := hold(context.Background())
	if err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	s := &model.Snapshot{Identity: identity, Maps: maps, Threads: held.Threads, Moment: model.Moment{Unreadable: cause.Error()}, Redaction: model.Redaction{Excluded: &request.Excluded{Partial: true}}}
	opts.Request.Released()
	j.complete(s)
	core, err := build.Build(s, &model.Plan{Options: *opts.resolved()}, j.buildRecord())
	if err != nil {
		return nil, fmt.Errorf("write stub: %w", err)
	}
	j.addFiles(core)
	problems := slices.Concat(j.problems, held.Problems, core.Problems)
	addProblems(core, j.opts.Budget, problems)
	c := j.core(s, core)
	c.summary.Mode = "record"
	c.summary.addProblems(problems)
	return c, nil
}

// IsUnreadable reports whether, after this error of [Capture], [WriteStub] can
// still write a core: the process exists, but may not be read or is not a
// readable Go program.
func IsUnreadable(err error) bool {
	var wrong *model.InputError
	return err != nil && !errors.Is(err, process.ErrGone) && !errors.As(err, &wrong)
}
