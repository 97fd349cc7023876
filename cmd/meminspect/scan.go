package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect/scan"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

func scanCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "scan CORE PATTERN…",
		Short: "Search a core for bytes that must not be there",
		Long: `Search every byte of a core, including its notes, for patterns, forwards and
reversed. A core that was compressed with zstd is decompressed first; an
encrypted core must be decrypted first. CORE may be any file, or - for
standard input.

A PATTERN is text, hex:DIGITS for other bytes, or @FILE for the contents of a
file without its last newline: every user of the machine can read a command
line. Patterns have at least 4 bytes.

The exit status is 0 if nothing was found and 1 if something was.`,
		Example: `  meminspect scan shop.core hunter2-password
  meminspect scan --json shop.core hex:8badf00d8badf00d @secret.txt`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var patterns []scan.Pattern
			for _, arg := range args[1:] {
				p, err := scan.Parse(arg)
				if err != nil {
					return fmt.Errorf("scan: %w", err)
				}
				patterns = append(patterns, p)
			}
			hits, err := scanFile(cmd, args[0], patterns, asJSON)
			if err != nil {
				return fmt.Errorf("scan %s: %w", args[0], err)
			}
			if hits > 0 {
				return &exitError{status: exitFindings}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// scanHit is a hit as --json prints it.
type scanHit struct {
	Pattern  string  `json:"pattern"`
	Offset   int64   `json:"offset,string"`
	Address  address `json:"address,omitempty"` // in the program's memory
	Reversed bool    `json:"reversed"`
}

func scanFile(cmd *cobra.Command, path string, patterns []scan.Pattern, asJSON bool) (hits int, err error) {
	in := cmd.InOrStdin()
	var where func(int64) (uint64, bool)
	if path != "-" {
		if path, err = corePath(cmd, path); err != nil {
			return 0, err
		}
		f, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		in, where = f, coreAddresses(f)
	}
	o, err := openOptions(cmd)
	if err != nil {
		return 0, err
	}
	stream, encoding, err := corefile.NewReader(in, o)
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	if encoding.Compressed || encoding.Encrypted {
		where = nil // offsets are those of the decrypted, decompressed core
	}
	enc := jsonLines(cmd.OutOrStdout())
	size, err := scan.Reader(stream, patterns, func(h scan.Hit) {
		hits++
		out := scanHit{Pattern: patterns[h.Pattern].Name, Offset: h.Offset, Reversed: h.Reversed}
		if where != nil {
			at, _ := where(h.Offset)
			out.Address = address(at)
		}
		if asJSON {
			_ = enc.Encode(out) // main reports what failed on standard output
			return
		}
		printHit(cmd.OutOrStdout(), path, out)
	})
	if err != nil {
		return hits, suggestSize(err)
	}
	if hits == 0 && !asJSON {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes, none of %d patterns found\n", path, size, len(patterns))
	}
	return hits, nil
}

func printHit(w io.Writer, path string, h scanHit) {
	fmt.Fprintf(w, "%s: offset %d", path, h.Offset)
	if h.Address != 0 {
		fmt.Fprintf(w, " (memory 0x%x)", uint64(h.Address))
	}
	fmt.Fprintf(w, ": %q", h.Pattern)
	if h.Reversed {
		fmt.Fprint(w, " reversed")
	}
	fmt.Fprintln(w)
}

// coreAddresses returns a function that converts a file offset to a memory
// address, or nil if f is not a core.
func coreAddresses(f *os.File) func(int64) (uint64, bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	core, err := elfcore.Open(f, info.Size())
	if err != nil {
		return nil
	}
	return func(off int64) (uint64, bool) {
		for _, load := range core.Loads {
			if !load.Marked() && uint64(off) >= load.Offset && uint64(off)-load.Offset < core.Present(&load) {
				return load.Addr + uint64(off) - load.Offset, true
			}
		}
		return 0, false
	}
}
