package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/gcpause"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
)

type filterFlags struct {
	saveFlags
	exe string
}

func filterCommand() *cobra.Command {
	f := filterFlags{}
	cmd := &cobra.Command{
		Use:   "filter FULL.core",
		Short: "Reduce a full core to an annotated core",
		Long: `filter reads a core with all memory of a Go program, as gdb's gcore, the kernel,
systemd-coredump and Delve's dump write them, and writes the core that capture
would have written of the same process at that moment: annotated memory and
everything it leads to, the goroutines and threads, without excluded memory.

The core may be truncated, and compressed with zstd; - is standard input. Missing
memory is recorded as unreadable. The executable file is the one that the core
names unless --exe names another; it is used only if it is of the same build.

The result goes to PROGRAM.PID.UTCTIME.REASON.core in the working directory,
mode 0600, and its path is printed. If the full core lacks requested data, the
exit status is 3.`,
		Example: `  meminspect filter full.core -o small.core
  meminspect filter full.core --exe ./service -o small.core
  meminspect filter full.core.zst --exe ./service -o small.core.zst --compress`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd)
	addOpenFlags(cmd)
	endAtSignals(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.exe, "exe", "", "the program's executable file (default the one that the core names)")
	fl.StringVar(&f.reason, "reason", "", "why, for the record and the file's name (default the signal that ended the program)")
	return cmd
}

func (f *filterFlags) run(cmd *cobra.Command, path string) error {
	gcpause.Until(smallHeap)
	return f.save(cmd, f.options(cmd), func(opts capture.Options) (*capture.Core, error) {
		full, file, err := f.open(cmd, path)
		if err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		defer file.Close()
		defer full.Close()
		return capture.Filter(cmd.Context(), full, opts)
	})
}

// open opens the full core. The caller closes it, and its file after it.
func (f *filterFlags) open(cmd *cobra.Command, path string) (*fullcore.Core, *corefile.File, error) {
	o, err := openOptions(cmd)
	if err != nil {
		return nil, nil, err
	}
	o.Dir = f.room()
	file, err := openFile(cmd.InOrStdin(), path, o)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, suggestSize(err))
	}
	full, err := fullcore.New(file, file.Size, fullcore.Options{Exe: f.exe})
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	full.Path, full.Modified = file.Path, file.Modified
	if file.Truncated != nil {
		full.Mentions = append(full.Mentions, "the compressed file is truncated")
	}
	return full, file, nil
}

// stdinName is the name of standard input.
const stdinName = "-"

// openFile opens the core at path.
func openFile(stdin io.Reader, path string, o corefile.OpenOptions) (*corefile.File, error) {
	if path == stdinName {
		return corefile.Read(stdin, o)
	}
	return corefile.Open(path, o)
}

// room returns the directory for a temporary copy: that of the result, which
// has room for cores and the right permissions.
func (f *filterFlags) room() string {
	switch {
	case f.dir != "":
		return f.dir
	case f.output == "-":
		return ""
	case f.output != "":
		return filepath.Dir(f.output)
	}
	return "."
}
