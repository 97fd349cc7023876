// Package inmemory makes cores that are in memory only, for readers: of running processes
// and of full cores.
package inmemory

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect"
)

// Capture captures a process. The path of the core is the process ID.
func Capture(ctx context.Context, pid int, opts capture.Options) (*inspect.Core, error) {
	made, err := capture.Capture(ctx, pid, opts)
	if err != nil {
		return nil, err
	}
	return open(made, strconv.Itoa(pid))
}

// Reduce makes of a full core what a capture would have made. exe is the path of the
// executable, "" for the one that the core names. The path of the core is that of the full
// one, which the caller may close afterwards.
func Reduce(ctx context.Context, core *inspect.Core, exe string, opts capture.Options) (*inspect.Core, error) {
	made, err := reduce(ctx, core, exe, opts)
	if err != nil {
		return nil, fmt.Errorf("reduce the full core %s: %w", core.Path, err)
	}
	return open(made, core.Path)
}

func reduce(ctx context.Context, core *inspect.Core, exe string, opts capture.Options) (*capture.Core, error) {
	full, err := fullcore.New(core.Contents(), core.Bytes, fullcore.Options{Exe: exe})
	if err != nil {
		return nil, err
	}
	defer full.Close()
	full.Path = core.Path
	return capture.Filter(ctx, full, opts)
}

func open(made *capture.Core, name string) (*inspect.Core, error) {
	var b bytes.Buffer
	if _, err := made.WriteTo(&b); err != nil {
		return nil, err
	}
	core, err := inspect.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return nil, err
	}
	core.Path = name
	return core, nil
}
