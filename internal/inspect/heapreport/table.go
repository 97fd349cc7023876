package heapreport

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes the report as tables, with at most top roots and paths.
func (r *Report) Print(w io.Writer, top int) error {
	out := &errWriter{w: w}
	fmt.Fprintf(out, "%s", printable(r.Program))
	if r.PID != 0 {
		fmt.Fprintf(out, " (process %d)", r.PID)
	}
	fmt.Fprintf(out, ", %s", printable(r.GoVersion))
	if r.Stopped > 0 {
		fmt.Fprintf(out, ", stopped for %v", time.Duration(r.Stopped).Round(100*time.Microsecond))
	}
	fmt.Fprint(out, "\n\n")
	r.printHeap(out)
	if len(r.Roots) > 0 {
		fmt.Fprintln(out)
		r.printRoots(out, top)
	}
	if len(r.Paths) > 0 {
		fmt.Fprintln(out)
		r.printPaths(out, top)
	}
	r.printLeaks(out, top)
	for _, p := range r.Problems {
		fmt.Fprintf(out, "\nnot read: %s\n", printable(p))
	}
	return out.err
}

// An errWriter keeps the first error.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(b []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(b)
	e.err = err
	return n, err
}

func (r *Report) printHeap(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	h := &r.Heap
	line := func(what string, bytes, objects uint64, note string) {
		fmt.Fprintf(t, "%s\t%s\t%s objects\t%s\n", what, Bytes(bytes), count(objects), note)
	}
	line("in use", h.Bytes, h.Objects, "")
	if !r.Partial {
		line("reached", h.ReachedBytes, h.Reached, "")
		line("from several roots", h.SharedBytes, h.Shared, "")
		line("garbage", h.GarbageBytes, h.Garbage, "  allocated since the last collection")
		line("unknown", h.UnknownBytes, h.Unknown, "  "+percent(h.UnknownBytes, h.Bytes)+" of the memory; garbage since the last collection, or of a root that is not known")
	}
	fmt.Fprintf(t, "free in spans\t%s\t\t\n", Bytes(h.Free))
	fmt.Fprintf(t, "stacks\t%s\t\t\n", Bytes(h.Stacks))
	if h.MissingBytes > 0 {
		fmt.Fprintf(t, "not read\t%s\t\t\n", Bytes(h.MissingBytes))
	}
	t.Flush()
	if r.Partial {
		fmt.Fprintln(w, "\nThe time was over before the pointers were read: what keeps the memory is not known.")
	}
}

func (r *Report) printLeaks(w io.Writer, top int) {
	if r.Leaks == nil || r.Leaks.Count == 0 {
		return
	}
	who := "goroutines wait"
	if r.Leaks.Count == 1 {
		who = "goroutine waits"
	}
	fmt.Fprintf(w, "\n%s %s for ever: no variable and no goroutine that may run leads to what would wake them\n", count(uint64(r.Leaks.Count)), who)
	shown := min(top, len(r.Leaks.Groups))
	for _, g := range r.Leaks.Groups[:shown] {
		fmt.Fprintf(w, "  %s of %s, %s", count(uint64(g.Count)), printable(g.Function), printable(g.State))
		if len(g.IDs) > 0 {
			fmt.Fprintf(w, ": goroutine %s", g.IDs[0])
		}
		if g.Count > 1 && len(g.IDs) > 1 {
			fmt.Fprintf(w, ", %s", g.IDs[1])
		}
		if g.Count > 2 {
			fmt.Fprint(w, " …")
		}
		fmt.Fprintln(w)
	}
	if more := len(r.Leaks.Groups) - shown; more > 0 {
		fmt.Fprintf(w, "  and %d more groups (--top)\n", more)
	}
}

func (r *Report) printRoots(w io.Writer, top int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "retained\tof all\tcounted here\tobjects\t  root\n")
	shown := 0
	for _, root := range r.Roots {
		if shown == top {
			break
		}
		shown++
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t  %s\n", Bytes(root.Retained), percent(root.Retained, r.Heap.Bytes), Bytes(root.Bytes), count(root.Objects), root.Label())
	}
	t.Flush()
	if more := len(r.Roots) - shown; more > 0 {
		fmt.Fprintf(w, "and %d more roots (--top)\n", more)
	}
}

// Label names a root for people. Its text is printable.
func (r *Root) Label() string {
	name := printable(r.Name)
	switch r.Kind {
	case "entry":
		return name + " (annotated)"
	case "goroutine":
		return fmt.Sprintf("goroutines of %s (%d)", name, r.Count)
	case "timers", "pools", "finalizer", "cleanup":
		return fmt.Sprintf("%s (%d)", name, r.Count)
	}
	return name
}

func (r *Report) printPaths(w io.Writer, top int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "retained\tbytes\tobjects\t  path\n")
	for _, p := range r.Paths[:min(top, len(r.Paths))] {
		typ := ""
		if p.Type != "" {
			typ = "  " + printable(p.Type)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t  %s%s\n", Bytes(p.Retained), Bytes(p.Bytes), count(p.Objects), printable(p.Path), typ)
	}
	t.Flush()
	if more := len(r.Paths) - top; more > 0 {
		fmt.Fprintf(w, "and %d more paths (--top)\n", more)
	}
}

// A Change is how a root differs between two reports.
type Change struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	OldObjects uint64 `json:"oldObjects,string"`
	NewObjects uint64 `json:"newObjects,string"`
	Old        uint64 `json:"old,string"` // retained
	New        uint64 `json:"new,string"`
}

func (c *Change) delta() int64 { return int64(c.New) - int64(c.Old) }

// Diff returns the roots that retain other amounts in r than in old, those that
// grew most first.
func (r *Report) Diff(old *Report) []Change {
	type key struct{ kind, name string }
	before := map[key]Root{}
	for _, root := range old.Roots {
		before[key{root.Kind, root.Name}] = root
	}
	var changes []Change
	for _, root := range r.Roots {
		k := key{root.Kind, root.Name}
		was := before[k]
		delete(before, k)
		if root.Retained != was.Retained {
			changes = append(changes, Change{root.Kind, root.Name, was.RetainedObjects, root.RetainedObjects, was.Retained, root.Retained})
		}
	}
	for k, was := range before {
		if was.Retained != 0 {
			changes = append(changes, Change{k.kind, k.name, was.RetainedObjects, 0, was.Retained, 0})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(-cmp.Compare(a.delta(), b.delta()), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return changes
}

// PrintDiff writes the difference as a table, with at most top roots.
func (r *Report) PrintDiff(w io.Writer, old *Report, top int) error {
	out := &errWriter{w: w}
	fmt.Fprintf(out, "%s, %s later\n\n", printable(r.Program), r.Time.Sub(old.Time))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "grown by\tretained before\tand now\t  root\n")
	was, now := old.Heap.ReachedBytes, r.Heap.ReachedBytes
	fmt.Fprintf(t, "%s\t%s\t%s\t  all roots together\n", signed(int64(now)-int64(was)), Bytes(was), Bytes(now))
	changes := r.Diff(old)
	for _, c := range changes[:min(top, len(changes))] {
		root := Root{Kind: c.Kind, Name: c.Name}
		for i := range r.Roots {
			if r.Roots[i].Kind == c.Kind && r.Roots[i].Name == c.Name {
				root = r.Roots[i]
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t  %s\n", signed(c.delta()), Bytes(c.Old), Bytes(c.New), root.Label())
	}
	t.Flush()
	if more := len(changes) - top; more > 0 {
		fmt.Fprintf(out, "and %d more roots (--top)\n", more)
	}
	return out.err
}

// Bytes writes a number of bytes with a binary unit.
func Bytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n)/(1<<10), 0
	for v >= 1<<10 && unit < len(units)-1 {
		v, unit = v/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}

func signed(n int64) string {
	if n < 0 {
		return "-" + Bytes(uint64(-n))
	}
	return "+" + Bytes(uint64(n))
}

// count writes a number with commas.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func percent(n, of uint64) string {
	if of == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// printable escapes what must not go to a terminal: names come from the program.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return s
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
