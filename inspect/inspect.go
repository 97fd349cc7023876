// Package inspect reads what meminspect captured: the values of annotated variables, the
// goroutines, what they wait for, the log, and why the program ended.
//
//	core, err := inspect.Open("shop.core")
//	if err != nil {
//		return err
//	}
//	defer core.Close()
//	var orders []Order
//	err = core.Var(`main.sessions["ada"].Orders`).Decode(&orders)
//
// Neither the executable nor symbols are needed. Values that a core does not have are
// reported as missing, and never shown as zero.
package inspect

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inmemory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/expr"
	"github.com/meminspect/meminspect/internal/inspect/opened"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// ErrOtherBuild is wrapped by the errors about an executable that is not the one that a
// core was captured from.
var ErrOtherBuild = inspect.ErrOtherBuild

// Options are how to open a core. The zero value is the default.
type Options struct {
	// Executable is the path of the program's executable. It is needed only if the core
	// has no types: the default is the executable that the core names, if it is of the
	// same build.
	Executable string

	// Identities are files of age or SSH secret keys, for an encrypted core.
	Identities []string

	// MaxBytes is the maximum size of a compressed core, decompressed, in bytes;
	// 0 is 16 GiB.
	MaxBytes int64
}

// A Core is an opened core. Methods may not be called at the same time, and not after
// Close.
type Core struct {
	core  *inspect.Core
	prog  *inspect.Program
	scope *expr.Scope
}

func init() {
	opened.Program = func(c any) *inspect.Program { return c.(*Core).prog }
}

// Open opens a core in a file: one that meminspect wrote, compressed or not, or a core
// with all memory, as gcore and the kernel write it, which it reduces in memory. The
// caller closes the Core.
func Open(path string) (*Core, error) { return OpenWith(path, Options{}) }

// OpenWith is [Open] with options.
func OpenWith(path string, o Options) (*Core, error) {
	identities, err := corefile.ParseIdentities(o.Identities, func(string) ([]byte, error) {
		return nil, errors.New("it has a passphrase: use a key without one")
	})
	if err != nil {
		return nil, err
	}
	core, err := inspect.OpenWith(path, corefile.OpenOptions{Identities: identities, MaxBytes: o.MaxBytes})
	if err != nil {
		return nil, err
	}
	if errors.Is(core.Without(), inspect.ErrFullCore) {
		full := core
		defer full.Close()
		if core, err = inmemory.Reduce(context.Background(), full, o.Executable, capture.Options{}); err != nil {
			return nil, err
		}
	}
	return newCore(core, o.Executable)
}

// Read reads a core of size bytes that r holds, neither compressed nor encrypted. The Core
// reads through r as long as it is used.
func Read(r io.ReaderAt, size int64) (*Core, error) {
	core, err := inspect.Read(r, size)
	if err != nil {
		return nil, err
	}
	return newCore(core, "")
}

// Attach captures a running process into memory and returns the core. The process is not
// stopped: values that change at that moment may be torn, which [Value.Decode] reports.
// Package capture captures in other ways; see [Read]. The caller closes the Core.
func Attach(ctx context.Context, pid int) (*Core, error) {
	core, err := inmemory.Capture(ctx, pid, capture.Options{Stop: capture.StopNever})
	if err != nil {
		return nil, err
	}
	return newCore(core, "")
}

func newCore(core *inspect.Core, exe string) (*Core, error) {
	prog, err := inspect.OpenProgram(core, exe)
	if err != nil {
		core.Close()
		return nil, err
	}
	return &Core{core: core, prog: prog}, nil
}

// Close releases the file of the core.
func (c *Core) Close() error { return errors.Join(c.prog.Close(), c.core.Close()) }

// Info describes a core.
type Info struct {
	Program   string            // name of the executable
	Module    string            // path of the main module
	Version   string            // of the main module
	Revision  string            // of the version control system
	Modified  bool              // the build had changes that were not committed
	GoVersion string            // such as go1.26.8
	BuildID   string            // Go's own
	PID       int               // of the process
	Started   time.Time         // of the process
	Captured  time.Time         // when the core was captured
	Reason    string            // a word: panic, hang, signal-sigsegv, asked
	Message   string            // of the panic, or of the supervisor
	Signature string            // of the bug, such as m1-0b38cc5666db; the same for all builds
	Tags      map[string]string // that the user gave the core
}

// Info returns what the core records of the process and its end. Fields are zero if it
// does not record them.
func (c *Core) Info() Info {
	cause := report.CauseOf(c.core)
	goID, _ := c.core.BuildIDs()
	info := Info{
		BuildID: goID, Started: c.core.Started(), Tags: c.core.Tags(),
		Reason: cause.Reason, Message: cause.Message,
	}
	if r := c.core.Capture; r != nil {
		info.Program, info.PID, info.Captured, info.GoVersion = filepath.Base(r.Program), r.PID, r.When, r.GoVersion
	}
	if s, err := report.SignatureOf(c.core); err == nil {
		info.Signature = s.ID
	}
	if build := c.core.BuildInfo(); build != nil {
		info.Module, info.Version = build.Main.Path, build.Main.Version
		info.GoVersion = cmp.Or(build.GoVersion, info.GoVersion)
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				info.Revision = s.Value
			case "vcs.modified":
				info.Modified = s.Value == "true"
			}
		}
	}
	return info
}

// A Region is a part of the program's memory that was annotated or registered.
type Region struct {
	Name    string // by which [Core.Var] finds it, such as main.sessions
	Type    string // its Go type, "" if it is not known
	Address uint64
	Size    uint64   // bytes
	Status  string   // complete, partial, torn, unreadable or gone
	Reasons []string // why it is not complete
}

// Regions returns the regions of the program, in the order of the core.
func (c *Core) Regions() []Region {
	var out []Region
	for i := range c.core.Regions {
		r := &c.core.Regions[i]
		if !value.OfProgram(r) {
			continue
		}
		out = append(out, Region{
			Name: value.Label(r, c.core.MainPath()), Type: r.Type, Address: r.Addr, Size: r.Size, Status: r.Status.Word(), Reasons: r.Status.Reasons(),
		})
	}
	return out
}

// Warnings returns what a reader should know about the core and its executable.
func (c *Core) Warnings() []string { return c.prog.Warnings }
