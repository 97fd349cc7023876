//go:build linux

package acceptance

import (
	"math"
	"strconv"
	"testing"

	"github.com/meminspect/meminspect/capture"
	values "github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A program changes a table of 64 sessions all the time, and is not stopped. At
// least 95 of 100 captures have every session of the table with the values of one
// moment, and no capture calls the region complete if it is not.
func TestTableThatChanges(t *testing.T) {
	needAMD64(t)
	const sessions = 64
	captures := 20
	if full {
		captures = 100
	}
	p := start(t, build(t, "torn", nil))
	whole := 0
	for range captures {
		path, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopNever})
		list, table, last, status := readSessions(t, path)
		good := list == sessions && table == sessions
		if good {
			whole++
		}
		// The program may have stopped in the middle of its latest change all the time.
		paused := list >= sessions-1 && table >= sessions-1 && last
		if !good && !paused && status == note.Complete {
			t.Errorf("%d sessions in the list, %d in the map, and the region is complete", list, table)
		}
	}
	t.Logf("%d of %d captures have all sessions", whole, captures)
	if whole < captures*95/100 {
		t.Errorf("%d of %d captures have all sessions", whole, captures)
	}
}

// readSessions counts the sessions of a core that are of one moment, by way of the
// list and by way of the map. It also reports whether the others have the highest number.
func readSessions(t *testing.T, path string) (list, table int, last bool, status note.Status) {
	t.Helper()
	prog := openProgram(t, path)
	for i := range prog.Core.Regions {
		r := &prog.Core.Regions[i]
		if r.Expr != "tab" {
			continue
		}
		seen := map[string]bool{} // by address
		highest, changing := int64(0), int64(math.MaxInt64)
		consistent := func(v *values.Value) bool {
			if v.BackRef {
				return seen[v.Addr.String()]
			}
			ok := v.Elem != nil && sessionOfOneMoment(v.Elem)
			seen[v.Addr.String()] = ok
			if v.Elem != nil && len(v.Elem.Fields) > 0 {
				number, _ := strconv.ParseInt(v.Elem.Fields[0].Value.Text, 10, 64)
				highest = max(highest, number)
				if !ok {
					changing = min(changing, number)
				}
			}
			return ok
		}
		v := values.Region(prog, r, values.Limits{Depth: 20, Elements: -1, Bytes: -1, Values: 100_000})
		if v.Elem == nil {
			return 0, 0, false, r.Status
		}
		for _, f := range v.Elem.Fields {
			for _, e := range f.Value.Entries {
				if consistent(e.Value) {
					table++
				}
			}
			for _, e := range f.Value.Elems {
				if consistent(e) {
					list++
				}
			}
		}
		return list, table, changing >= highest, r.Status
	}
	t.Fatal("the core has no region tab")
	return 0, 0, false, 0
}

func sessionOfOneMoment(v *values.Value) bool {
	if len(v.Fields) != 3 {
		return false
	}
	seq, name, self := v.Fields[0].Value, v.Fields[1].Value, v.Fields[2].Value
	n, err := strconv.ParseInt(seq.Text, 10, 64)
	return err == nil && name.Text == "user-"+strconv.FormatInt(n, 10) && self.Text == seq.Text
}
