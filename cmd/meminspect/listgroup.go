package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/meminspect/meminspect/internal/inspect/signature"
)

// coreGroupJSON is the cores of one bug as --json prints them.
type coreGroupJSON struct {
	Program   string               `json:"program"`
	Signature *signature.Signature `json:"signature,omitempty"`
	Reason    string               `json:"reason"` // of the newest
	Count     int                  `json:"count"`
	First     time.Time            `json:"first"`
	Last      time.Time            `json:"last"`
	Cores     []string             `json:"cores"`
}

// groupCores groups cores, the newest first, by program and signature, or by program
// and reason if they have none.
func groupCores(lines []listJSON) []*coreGroupJSON {
	type key struct{ program, bug string }
	var groups []*coreGroupJSON
	index := map[key]*coreGroupJSON{}
	for _, l := range lines {
		k := key{l.Program, l.Reason}
		if l.Signature != nil {
			k.bug = l.Signature.ID
		}
		g := index[k]
		if g == nil {
			g = &coreGroupJSON{Program: l.Program, Signature: l.Signature, Reason: l.Reason, Last: l.When}
			index[k] = g
			groups = append(groups, g)
		}
		g.Count++
		g.First = l.When
		g.Cores = append(g.Cores, l.Selector)
	}
	return groups
}

func printCoreGroups(w io.Writer, groups []*coreGroupJSON) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "COUNT\tFIRST (UTC)\tLAST (UTC)\tNEWEST\tPROGRAM\tSIGNATURE")
	for _, g := range groups {
		bug := g.Reason
		if g.Signature != nil {
			bug = g.Signature.String()
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\n", g.Count, g.First.Format(time.DateTime), g.Last.Format(time.DateTime), g.Cores[0], g.Program, oneLine(bug))
	}
	return tw.Flush()
}
