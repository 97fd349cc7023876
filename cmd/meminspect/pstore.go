package main

import (
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/runtime/format/ramoops"
)

func pstoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pstore",
		Short: "Read pstore files",
	}
	cmd.AddCommand(pstoreShowCommand())
	return cmd
}

func pstoreShowCommand() *cobra.Command {
	var asJSON, list bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print the content of a pstore file",
		Long: `Print the zones of a pstore file, which a program with package pstore keeps, or
of an image of a ramoops memory area: dump records, the console, and the Go
runtime's report of a fatal error. An unfinished record is marked as torn.
Records that the kernel has compressed by deflate, its default, are decompressed.`,
		Example: `  meminspect pstore show shop.pstore
  meminspect pstore show --list shop.pstore
  meminspect pstore show --json shop.pstore`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readFile(args[0])
			if err != nil {
				return fmt.Errorf("pstore show: %w", err)
			}
			zones, err := ramoops.Read(b)
			if err != nil {
				return fmt.Errorf("pstore show %s: %w", args[0], err)
			}
			enc := jsonLines(cmd.OutOrStdout())
			for i := range zones {
				if asJSON {
					if err := enc.Encode(zoneJSON(&zones[i], list)); err != nil {
						return err
					}
					continue
				}
				printZone(cmd.OutOrStdout(), i, &zones[i], list)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&list, "list", false, "list the zones without their texts")
	return cmd
}

func zoneTitle(z *ramoops.Zone) string {
	title := z.Kind.String()
	if !z.When.IsZero() {
		title += " of " + z.When.UTC().Format("2006-01-02 15:04:05.000000 UTC")
	}
	if z.Compressed {
		title += ", compressed"
	}
	if z.Torn {
		title += ", torn"
	}
	return title
}

func printZone(w io.Writer, i int, z *ramoops.Zone, list bool) {
	fmt.Fprintf(w, "zone %d at %d: %s, %d of %d bytes\n", i, z.Offset, zoneTitle(z), len(z.Text), z.Capacity)
	if list {
		return
	}
	text, err := plainText(z)
	if err != nil {
		fmt.Fprintf(w, "    (%v)\n", err)
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(w, "    %s\n", oneLine(strings.TrimSuffix(line, "\n")))
	}
}

// pstoreZone is a zone as --json prints it.
type pstoreZone struct {
	Kind       string     `json:"kind"`
	Offset     int64      `json:"offset,string"`
	Capacity   int        `json:"capacity"`
	Time       *time.Time `json:"time,omitempty"`
	Torn       bool       `json:"torn,omitempty"`
	Compressed bool       `json:"compressed,omitempty"`
	Text       string     `json:"text,omitempty"`
}

func zoneJSON(z *ramoops.Zone, list bool) pstoreZone {
	out := pstoreZone{Kind: z.Kind.String(), Offset: z.Offset, Capacity: z.Capacity, Torn: z.Torn, Compressed: z.Compressed}
	if !z.When.IsZero() {
		when := z.When.UTC()
		out.Time = &when
	}
	if !list {
		// Without a text the record is one that cannot be decompressed.
		out.Text, _ = plainText(z)
	}
	return out
}

// maxDump bounds the text of a compressed dump: the kernel writes at most some 100 KiB.
const maxDump = 16 << 20

// plainText returns the text of a zone. The kernel compresses its dumps by raw deflate,
// unless its parameter pstore.compress selects another way.
func plainText(z *ramoops.Zone) (string, error) {
	if !z.Compressed {
		return z.Text, nil
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(z.Text)), maxDump))
	if err != nil {
		return "", fmt.Errorf("decompressing the dump: %w; only deflate is read, the kernel's default", err)
	}
	return string(text), nil
}
