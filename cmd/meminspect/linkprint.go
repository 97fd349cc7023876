package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/meminspect/meminspect/linker"
)

// dash is printed for an unset value, so that each line has all columns.
const dash = "-"

func orDash(text string) string { return cmp.Or(text, dash) }

// newTable aligns columns that are separated by tabs.
func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// printLinkMap prints a line for everything, then the totals.
func printLinkMap(out io.Writer, m *linker.Map, layout bool) error {
	w := bufio.NewWriter(out)
	t := newTable(w)
	fmt.Fprintln(t, "KIND\tPACKAGE\tNAME\tVARIABLE\tID\tADDRESS\tSIZE\tDEPTH\tBUDGET\tFLAGS\tPOSITION\tTYPE")
	row := func(columns ...string) {
		for i := range columns {
			columns[i] = orDash(columns[i])
		}
		fmt.Fprintln(t, strings.Join(columns, "\t"))
	}
	for _, e := range m.Entries {
		kind, pos := "entry", e.Pos
		if e.Included != "" {
			kind, pos = "include", e.Included
		}
		size, depth, budget := "?", dash, dash
		if e.Size != nil {
			size = strconv.FormatUint(*e.Size, 10)
		}
		if e.Depth != nil {
			depth = strconv.Itoa(int(*e.Depth))
		}
		if e.Budget != 0 {
			budget = strconv.FormatUint(e.Budget, 10)
		}
		row(kind, e.Package, e.Name, e.Expr, e.ID, e.Address, size, depth, budget, strings.Join(e.Flags, ","), pos, cmp.Or(e.Type, "?"))
	}
	for _, x := range m.Exclusions {
		what := strings.Trim(x.Type+"."+x.Field, ".")
		if x.Address != "" { // a variable: the position identifies it
			what = dash
		}
		row("exclude", x.Package, what, dash, dash, x.Address, strconv.FormatUint(x.Size, 10), dash, dash, strings.ReplaceAll(x.Kind, " ", "-"), x.Pos, x.Type)
	}
	for _, d := range m.Declared {
		row("id", d.Package, d.Name, dash, d.ID, dash, dash, dash, dash, dash, d.Pos, dash)
	}
	t.Flush()
	if layout {
		printLayouts(w, m)
	}
	n := m.Totals
	fmt.Fprintf(w, "total: %d entries of %d packages, %d bytes", n.Entries, n.Packages, n.Bytes)
	if n.Unknown > 0 {
		fmt.Fprintf(w, " and %d of unknown size", n.Unknown)
	}
	if n.Included > 0 {
		fmt.Fprintf(w, "; %d of them included by a list", n.Included)
	}
	fmt.Fprintf(w, "; %d exclusions; %d declared IDs; %d tables\n", n.Exclusions, n.Declared, n.Tables)
	return w.Flush()
}

// printLayouts prints the layout of each type once.
func printLayouts(w io.Writer, m *linker.Map) {
	seen := map[string]bool{}
	for _, e := range m.Entries {
		if e.Layout == nil || seen[e.Type] {
			continue
		}
		seen[e.Type] = true
		fmt.Fprintf(w, "\ntype %s: %s, %d bytes, aligned to %d\n", e.Type, e.Layout.Kind, e.Layout.Size, e.Layout.Align)
		t := newTable(w)
		for _, f := range e.Layout.Fields {
			fmt.Fprintf(t, "  +%d\t%d\t%s\t%s\n", f.Offset, f.Size, f.Name, f.Type)
		}
		t.Flush()
		if e.Layout.Key != "" {
			fmt.Fprintf(w, "  key %s\n", e.Layout.Key)
		}
		if e.Layout.Elem != "" {
			fmt.Fprintf(w, "  element %s\n", e.Layout.Elem)
		}
	}
	fmt.Fprintln(w)
}

// printCost prints the memory that annotations add.
func printCost(w io.Writer, c *linker.Cost) error {
	if c == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "annotations add: %+d bytes of code, %+d read-only, %+d data, %+d bss; they alone keep %d variables of %d bytes\n",
		c.Text, c.ReadOnly, c.Data, c.BSS, len(c.Kept), c.KeptBytes)
	if err == nil && c.Note != "" {
		_, err = fmt.Fprintln(w, c.Note)
	}
	return err
}

// printLinkForecast prints a line an entry, then the total.
func printLinkForecast(out io.Writer, f *linker.Forecast) error {
	w := bufio.NewWriter(out)
	t := newTable(w)
	fmt.Fprintln(t, "PACKAGE\tNAME\tDEPTH\tLEAST\tWORST\tWHY")
	line := func(pkg, name, depth string, b linker.Bounds) {
		worst := strconv.FormatUint(b.Worst, 10)
		if b.Unbounded {
			worst = "unbounded"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", pkg, name, depth, b.Least, worst, orDash(b.Why))
	}
	for _, e := range f.Entries {
		line(e.Package, e.Name, strconv.Itoa(e.Depth), e.Bounds)
	}
	line("total", dash, dash, f.Total)
	t.Flush()
	return w.Flush()
}
