package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// printGroups prints groups of goroutines. Lines fit into 80 columns unless a
// function's name alone is longer.
func printGroups(w io.Writer, groups []stacks.Group) {
	total, system := 0, 0
	for i := range groups {
		g := &groups[i]
		total += len(g.Goroutines)
		if g.System && !g.Failed() {
			system += len(g.Goroutines)
			continue
		}
		printGroup(w, g)
		fmt.Fprintln(w)
	}
	if system > 0 {
		fmt.Fprintf(w, "%s of the runtime; --all prints their stacks\n", plural(system, "goroutine"))
	}
	fmt.Fprintf(w, "%s in %s\n", plural(total, "goroutine"), plural(len(groups), "group"))
}

func printGroup(w io.Writer, g *stacks.Group) {
	first := g.Goroutines[0]
	head := fmt.Sprintf("%d goroutines", len(g.Goroutines))
	if len(g.Goroutines) == 1 {
		head = fmt.Sprintf("goroutine %d", first.ID)
	}
	fmt.Fprintf(w, "%s: %s%s", head, tallies(g.States(), len(g.Goroutines), oneLine), waitText(g))
	if g.Failed() {
		fmt.Fprintf(w, " (goroutine %d failed)", first.ID)
	}
	fmt.Fprintln(w)
	printCalls(w, g.Frames)
	if first.Problem != "" {
		fmt.Fprintf(w, "    … %s\n", oneLine(first.Problem))
	}
	if creators := g.Creators(); len(creators) > 0 {
		fmt.Fprintf(w, "    created by %s\n", tallies(creators, len(g.Goroutines), shortFunction))
	}
	if labels := g.Labels(); len(labels) > 0 {
		fmt.Fprintf(w, "    labels: %s\n", tallies(labels, len(g.Goroutines), oneLine))
	}
}

// printCalls prints a frame on each line, with its place at the right.
func printCalls(w io.Writer, frames []stacks.Frame) {
	const widest = 52 // leaves room for a place in 80 columns
	width := 0
	for i := range frames {
		if n := len(shortFunction(frames[i].Function)); n <= widest {
			width = max(width, n)
		}
	}
	for _, f := range stacks.FoldFrames(frames) {
		fmt.Fprintf(w, "    %-*s  %s:%d\n", width, shortFunction(f.Call.Function), shortFile(f.Call.File), f.Call.Line)
		for _, text := range f.After() {
			fmt.Fprintf(w, "    … %s\n", text)
		}
	}
}

// waitText returns how long the goroutines of a group have waited, as far as
// known.
func waitText(g *stacks.Group) string {
	text := ""
	if between := spanText(g.Waited()); between != "" {
		text = ", for " + between
	}
	if between := spanText(g.Left()); between != "" {
		text += ", " + between + " left"
	}
	return text
}

func spanText(shortest, longest time.Duration) string {
	switch {
	case longest == 0:
		return ""
	case duration.Roughly(shortest) == duration.Roughly(longest):
		return duration.Roughly(longest)
	}
	return duration.Roughly(shortest) + " to " + duration.Roughly(longest)
}

// tallies lists what goroutines have in common, with a count if not all of them
// have it. show formats a name.
func tallies(list []stacks.Tally, all int, show func(string) string) string {
	const most = 4
	var parts []string
	for i, t := range list {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		text := show(t.Name)
		if t.Count < all {
			text = strconv.Itoa(t.Count) + " " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// shortFunction returns a function's name with only the last element of its
// import path. Type arguments are unchanged.
func shortFunction(name string) string {
	path, _, _ := strings.Cut(name, "[")
	return oneLine(name[strings.LastIndexByte(path, '/')+1:])
}

// shortFile returns the name of a file with its directory's name.
func shortFile(file string) string {
	dir, base := filepath.Split(file)
	return oneLine(filepath.Join(filepath.Base(dir), base))
}

// groupJSON is a group of goroutines as --json prints it.
type groupJSON struct {
	Count    int              `json:"count"`
	IDs      []string         `json:"ids"`
	Failed   uint64           `json:"failed,omitempty,string"`
	System   bool             `json:"system,omitempty"`
	States   map[string]int   `json:"states"`
	Shortest duration.Seconds `json:"shortestWait,omitempty"`
	Longest  duration.Seconds `json:"longestWait,omitempty"`
	Frames   []frameJSON      `json:"frames"`
	Creators map[string]int   `json:"creators,omitempty"`
	Labels   map[string]int   `json:"labels,omitempty"`
	Problem  string           `json:"problem,omitempty"`
}

func groupOf(g *stacks.Group) groupJSON {
	shortest, longest := g.Waited()
	out := groupJSON{
		Count: len(g.Goroutines), System: g.System, Shortest: duration.Seconds(shortest), Longest: duration.Seconds(longest),
		States: tallyMap(g.States()), Creators: tallyMap(g.Creators()), Labels: tallyMap(g.Labels()),
		Frames: framesOf(g.Frames), Problem: g.Goroutines[0].Problem,
	}
	for _, member := range g.Goroutines {
		out.IDs = append(out.IDs, strconv.FormatUint(member.ID, 10))
	}
	if g.Failed() {
		out.Failed = g.Goroutines[0].ID
	}
	return out
}

func tallyMap(list []stacks.Tally) map[string]int {
	m := map[string]int{}
	for _, t := range list {
		m[t.Name] = t.Count
	}
	return m
}

func printGroupsJSON(w io.Writer, groups []stacks.Group) error {
	enc := jsonLines(w)
	for i := range groups {
		if err := enc.Encode(groupOf(&groups[i])); err != nil {
			return err
		}
	}
	return nil
}
