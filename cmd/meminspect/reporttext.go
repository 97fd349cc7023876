package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// A section is a part of a report in text: lines below a title.
type section struct {
	title string
	lines []string
	width int  // of the lines
	keep  int  // lines that stay as long as other sections have more than they have to
	whole bool // no line may be omitted

	// newest returns the title of a section whose last lines matter most: the first ones are
	// omitted. It is nil for other sections.
	newest func(lines int) string

	// rest returns the last line, which names what has no line, when so many lines more are
	// omitted. It is nil if everything has a line.
	rest func(left int) string
}

// add appends a line, cut to the width.
func (s *section) add(format string, args ...any) {
	s.lines = append(s.lines, cutLine(fmt.Sprintf(format, args...), s.width))
}

// addPlaced appends a line with a place. The place is on the next line if both are too long.
func (s *section) addPlaced(indent string, line placedLine) {
	const more = "    " // of what continues a line
	if text := indent + line.String(); line.place == "" || utf8.RuneCountInString(text) <= s.width {
		s.add("%s", text)
		return
	}
	for i, text := range wrap(line.text, s.width-len(indent+more), 3) {
		if i > 0 {
			text = more + text
		}
		s.add("%s%s", indent, text)
	}
	s.add("%s%s%s", indent, more, cutBefore(line.place, s.width-len(indent+more)))
}

// cutBefore shortens a line to at most width characters, if possible in the part before two
// spaces: what follows them is a place in the source.
func cutBefore(line string, width int) string {
	if at := strings.LastIndex(line, "  "); at >= 0 && utf8.RuneCountInString(line) > width {
		const least = 12 // characters of the first part
		if room := width - utf8.RuneCountInString(line[at:]); room >= least {
			return cutLine(line[:at], room) + line[at:]
		}
	}
	return cutLine(line, width)
}

// maxScreen is the number of lines of a report, if the parts that are never cut
// leave room for it.
const maxScreen = 48

// printReport prints a report in lines of at most width characters.
func printReport(w io.Writer, r *report.Report, next []string, width int) error {
	var b strings.Builder
	for _, line := range wrap(oneLine(r.Title()), width, 4) {
		b.WriteString(line + "\n")
	}
	for _, s := range fit(sections(r, next, width), maxScreen-1) {
		b.WriteByte('\n')
		if s.title != "" {
			b.WriteString(cutLine(s.title, width) + "\n")
		}
		for _, line := range s.lines {
			b.WriteString("  " + line + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printMarkdown prints a report for an issue tracker.
func printMarkdown(w io.Writer, r *report.Report, next []string) error {
	const width = 120
	var b strings.Builder
	b.WriteString("## " + markdownText(oneLine(r.Title())) + "\n")
	for _, s := range fit(sections(r, next, width), 2*maxScreen) {
		if s.title != "" {
			b.WriteString("\n### " + markdownText(s.title) + "\n")
		}
		fence := "```"
		for strings.Contains(strings.Join(s.lines, "\n"), fence) {
			fence += "`"
		}
		b.WriteString("\n" + fence + "\n" + strings.Join(s.lines, "\n") + "\n" + fence + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownText escapes characters with a meaning in Markdown or HTML.
func markdownText(s string) string {
	var b strings.Builder
	for _, c := range s {
		if strings.ContainsRune("\\`*_{}[]<>()#+!|&~", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func sections(r *report.Report, next []string, width int) []section {
	width -= 2 // lines are indented
	all := []section{
		{lines: factLines(r, width)},
		failedSection(r.Failed, width),
		groupSection(r, width),
		deadlockSection(r, width),
		waitSection(r, width),
		summarySection(r, width),
		logSection(r, width),
		{title: "missing", lines: wrapAll(r.Gaps, width)},
		{title: "next", lines: next, whole: true},
	}
	var out []section
	for _, s := range all {
		if len(s.lines) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// fit drops lines from the longest sections until all of them together have at
// most most lines.
func fit(all []section, most int) []section {
	total := 0
	for _, s := range all {
		total += 1 + len(s.lines)
		if s.title != "" {
			total++
		}
	}
	left := make([]int, len(all)) // out of each
	const least = 3               // lines of a section
	for _, keep := range []func(*section) int{func(s *section) int { return max(s.keep, least) }, func(*section) int { return least }} {
		for ; total > most; total-- {
			longest := -1
			for i := range all {
				if s := &all[i]; i > 0 && !s.whole && len(s.lines) > keep(s) && (longest < 0 || len(s.lines) > len(all[longest].lines)) {
					longest = i
				}
			}
			if longest < 0 {
				break
			}
			all[longest].drop()
			left[longest]++
		}
	}
	for i, n := range left {
		if n > 0 {
			all[i].admit(n)
		}
	}
	return all
}

// drop omits the line that matters least.
func (s *section) drop() {
	if s.newest != nil {
		s.lines = s.lines[1:]
		return
	}
	at := len(s.lines) - 1
	if s.rest != nil {
		at--
	}
	s.lines = slices.Delete(s.lines, at, at+1)
}

// admit adds how many lines are omitted.
func (s *section) admit(left int) {
	last := len(s.lines) - 1
	switch {
	case s.newest != nil:
		s.title = s.newest(len(s.lines))
	case s.rest != nil:
		s.lines[last] = s.rest(left)
	default:
		s.lines[last] = fmt.Sprintf("… %s more", plural(left+1, "line"))
	}
}

// addRest adds the line about what has no line.
func (s *section) addRest(what string) {
	s.rest = func(left int) string {
		if left == 0 {
			return "… " + what + " more"
		}
		return fmt.Sprintf("… %s and %s more", plural(left, "line"), what)
	}
	s.lines = append(s.lines, s.rest(0))
}

// factLines describe the program and its end.
func factLines(r *report.Report, width int) []string {
	var lines []string
	for _, f := range r.Facts() {
		const indent = 9
		name := f.Name
		for i, line := range wrap(oneLine(f.Text()), width-indent, 3) {
			if i > 0 {
				name = ""
			}
			lines = append(lines, fmt.Sprintf("%-*s%s", indent, name, line))
		}
	}
	return lines
}

// failedSection has the goroutine that ended the program. Calls of the standard
// library are counted only.
func failedSection(g *report.Goroutine, width int) section {
	if g == nil {
		return section{}
	}
	const keep = 16
	s := section{title: fmt.Sprintf("goroutine %d ended the program", g.ID), width: width, keep: keep}
	if g.State != "" && g.State != "running" {
		s.title += ": " + oneLine(g.State)
	}
	column := callWidth(g)
	hidden := 0
	flush := func() {
		if hidden > 0 {
			s.add("… %s of the standard library", plural(hidden, "call"))
		}
		hidden = 0
	}
	for _, c := range bothEnds(g.Fold()) {
		if c.Call.Library {
			hidden++
		} else {
			flush()
			s.addCall(&c.Call, column)
		}
		for _, text := range c.After() {
			flush()
			s.add("… %s", text)
		}
	}
	flush()
	if g.Problem != "" {
		s.add("… %s", oneLine(g.Problem))
	}
	if g.Created != nil {
		s.lines = append(s.lines, cutBefore(fmt.Sprintf("created by %s  %s:%d", shortFunction(g.Created.Function), shortFile(g.Created.File), g.Created.Line), s.width))
	}
	return s
}

// bothEnds shortens the calls of a stack that is too deep for a screen.
func bothEnds(calls []stacks.Folded[report.Call]) []stacks.Folded[report.Call] {
	const deep, inner, outer = 64, 10, 6
	if len(calls) <= deep {
		return calls
	}
	ends := append(slices.Clone(calls[:inner]), calls[len(calls)-outer:]...)
	omitted := &ends[inner-1].Omitted
	for i := inner; i < len(calls)-outer; i++ {
		c := &calls[i]
		omitted.Calls += 1 + uint64(c.Round*c.More) + c.Omitted.Calls
		omitted.Bytes += c.Omitted.Bytes
	}
	return ends
}

func (s *section) addCall(c *report.Call, column int) {
	s.lines = append(s.lines, cutBefore(fmt.Sprintf("%-*s  %s:%d", column, shortFunction(c.Function), shortFile(c.File), c.Line), s.width))
	if c.Source != "" {
		s.add("    %s", oneLine(c.Source))
	}
	for _, o := range c.Objects {
		s.add("    %v = %s", o.Addr, oneLine(o.Path))
	}
	if c.Link != "" {
		s.lines = append(s.lines, "    "+oneLine(c.Link)) // whole, so that it can be followed
	}
}

// callWidth is the width of the column of functions.
func callWidth(g *report.Goroutine) int {
	const widest = 48
	width := 0
	for i := range g.Calls {
		if n := utf8.RuneCountInString(shortFunction(g.Calls[i].Function)); n <= widest && !g.Calls[i].Library {
			width = max(width, n)
		}
	}
	return width
}

func groupSection(r *report.Report, width int) section {
	total := 0
	for i := range r.Groups {
		total += len(r.Groups[i].Goroutines)
	}
	s := section{title: fmt.Sprintf("%s in %s", plural(total, "goroutine"), plural(len(r.Groups), "group")), width: width}
	if r.Failed != nil {
		s.title = fmt.Sprintf("%s in %s", plural(total, "other goroutine"), plural(len(r.Groups), "group"))
	}
	const most = 6
	for i := range r.Groups {
		if i == most && len(r.Groups) > most+1 {
			s.rest = func(left int) string { return fmt.Sprintf("… %s more", plural(len(r.Groups)-most+left, "group")) }
			s.lines = append(s.lines, s.rest(0))
			break
		}
		s.lines = append(s.lines, cutBefore(groupLine(&r.Groups[i]), s.width))
	}
	return s
}

func groupLine(g *stacks.Group) string {
	line := fmt.Sprintf("%5d  %s%s", len(g.Goroutines), tallies(g.States(), len(g.Goroutines), oneLine), waitText(g))
	if len(g.Frames) > 0 {
		line += ": " + caller(g.Frames)
	}
	return line
}

// deadlockSection has the first of the deadlocks.
func deadlockSection(r *report.Report, width int) section {
	if len(r.Deadlocks) == 0 {
		return section{}
	}
	s := section{title: deadlockText(&r.Deadlocks[0]), width: width}
	for _, line := range cycleLines(&r.Deadlocks[0]) {
		s.addPlaced("", line)
	}
	if more := deadlockCounts(r.Deadlocks[1:]); more != "" {
		s.addRest(more)
	}
	return s
}

// maxSets is how many sets of objects a report has.
const maxSets = 4

func waitSection(r *report.Report, width int) section {
	s := section{title: "what they wait for", width: width}
	for i, set := range r.Alike {
		if i == maxSets {
			s.addRest(plural(len(r.Alike)-maxSets, "object"))
			break
		}
		s.add("%s", setText(set))
		waiters, others := waiterLines(set), otherLines(set)
		for _, line := range append(waiters[:min(len(waiters), 2)], others[:min(len(others), 1)]...) {
			s.addPlaced("    ", line)
		}
	}
	return s
}

func summarySection(r *report.Report, width int) section {
	s := section{title: "summary", width: width}
	for _, v := range r.Summary {
		s.add("%s = %s", oneLine(v.Name), strings.Join(strings.Fields(v.Explained()), " "))
	}
	return s
}

func logSection(r *report.Report, width int) section {
	const keep = 5
	total := len(r.Log) + r.Older
	title := func(lines int) string {
		if lines == total {
			return "log"
		}
		return fmt.Sprintf("log, the last %d of %d records", lines, total)
	}
	s := section{title: title(len(r.Log)), width: width, keep: keep, newest: title}
	for i := range r.Log {
		s.add("%s", recordText(&r.Log[i], "15:04:05.000 "))
	}
	return s
}

// wrap breaks text at spaces into lines of at most width characters, and cuts
// it after most lines.
func wrap(text string, width, most int) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > width && len(lines) < most-1 {
		at := width
		for at > width/2 && rest[at] != ' ' {
			at--
		}
		if rest[at] != ' ' {
			at = width
		}
		lines = append(lines, strings.TrimRight(string(rest[:at]), " "))
		rest = []rune(strings.TrimLeft(string(rest[at:]), " "))
	}
	return append(lines, cutLine(string(rest), width))
}

func wrapAll(texts []string, width int) []string {
	var lines []string
	for _, text := range texts {
		lines = append(lines, wrap(oneLine(text), width, 3)...)
	}
	return lines
}

// cutLine shortens a line to at most width characters.
func cutLine(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}
