package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func regionsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "regions CORE",
		Short: "List the regions of a core and their statuses",
		Long: `List the regions of a core: the annotated variables and the regions registered at
run time. STATUS describes how much of each, and of everything it leads to, is in
the core: complete; partial (something is missing; the reasons follow in parentheses);
torn (some of it changed while it was read); unreadable; or gone (its object was
collected before the capture).`,
		Example: `  meminspect regions shop.core
  meminspect regions --json shop.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			core, err := openCore(cmd, args[0])
			if err != nil {
				return fmt.Errorf("regions: %w", err)
			}
			defer core.Close()
			if err := core.NeedRegions(); err != nil {
				return fmt.Errorf("regions: %s: %w", args[0], err)
			}
			if err := noRegions(cmd, core); err != nil {
				return err
			}
			if asJSON {
				return printRegionsJSON(cmd.OutOrStdout(), core)
			}
			return printRegions(cmd.OutOrStdout(), core.Regions)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func printRegions(w io.Writer, regions []note.Region) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tNAME\tADDRESS\tSIZE\tSTATUS\tTYPE\tWHERE")
	for i := range regions {
		r := &regions[i]
		size := fmt.Sprint(r.Size)
		if r.Captured != r.Size {
			size = fmt.Sprintf("%d of %d", r.Captured, r.Size)
		}
		fmt.Fprintf(tw, "%016x\t%s\t%#x\t%s\t%s\t%s\t%s\n", r.ID, oneLine(r.Name), r.Addr, size, r.Status, oneLine(regionType(r)), oneLine(regionWhere(r)))
	}
	return tw.Flush()
}

// regionType returns the type of a region, as far as the core knows it.
func regionType(r *note.Region) string {
	switch r.Kind {
	case anchor.SlotSlice:
		return "[]" + r.Type
	case anchor.SlotString:
		return "string"
	case anchor.SlotForeign:
		return "(foreign)"
	}
	if r.Flags&anchor.EntryArea != 0 {
		return r.Type + " (area)"
	}
	return r.Type
}

// regionWhere returns the variable and its line, for entries of tables.
func regionWhere(r *note.Region) string {
	if r.Package == "" {
		return "registered at run time"
	}
	where := r.Package + "." + r.Expr
	if r.Pos != "" {
		where += " " + r.Pos
	}
	return where
}

// statusJSON is a region's status as --json prints it.
type statusJSON struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"` // why something is missing
}

func statusOf(r *note.Region) statusJSON {
	return statusJSON{Status: r.Status.Word(), Reasons: r.Status.Reasons()}
}

// regionJSON is a region as --json prints it.
type regionJSON struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Package  string  `json:"package,omitempty"`
	Expr     string  `json:"expr,omitempty"`
	Type     string  `json:"type,omitempty"`
	Kind     string  `json:"kind"`
	Address  address `json:"address"`
	Size     uint64  `json:"size,string"`
	Captured uint64  `json:"capturedBytes,string"`
	Torn     uint64  `json:"tornBytes,omitempty,string"` // in the region itself
	statusJSON
	Pos  string `json:"pos,omitempty"`
	Note string `json:"note,omitempty"`
}

var regionKinds = map[uint32]string{
	0: "entry", anchor.SlotValue: "value", anchor.SlotSlice: "slice", anchor.SlotString: "string",
	anchor.SlotForeign: "foreign", anchor.SlotWeak: "weak",
}

func printRegionsJSON(w io.Writer, core *inspect.Core) error {
	enc := jsonLines(w)
	for i := range core.Regions {
		r := &core.Regions[i]
		if err := enc.Encode(regionJSON{
			ID: fmt.Sprintf("%016x", r.ID), Name: r.Name, Package: r.Package, Expr: r.Expr, Type: r.Type,
			Kind: regionKinds[r.Kind], Address: address(r.Addr), Size: r.Size, Captured: r.Captured, Torn: core.Torn.OverlapSize(memory.RangeOf(memory.Address(r.Addr), r.Size)),
			Pos: r.Pos, Note: r.Note, statusJSON: statusOf(r),
		}); err != nil {
			return err
		}
	}
	return nil
}
