// Command testlog reads what commands like `go test -json` print and shows what
// matters of it: the line of each package, all the output of failing tests, and at
// the end the slowest tests, and what was skipped for which reason. A skip that stays
// unseen hides what is missing.
// It reads the files that it is given at once, such as pipes of commands that run
// side by side, or its standard input.
// Its exit status is not that of the tests: go test has that.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "testlog: %v\n", err)
		os.Exit(1)
	}
}

func run(paths []string) error {
	l := &log{out: os.Stdout, skips: map[string][]string{}}
	defer l.end()
	if len(paths) == 0 {
		return l.show(os.Stdin)
	}
	var all errgroup.Group
	for _, path := range paths {
		all.Go(func() error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return l.show(f)
		})
	}
	return all.Wait()
}

// An event is a line of test2json; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// A log is what several commands print, on out.
type log struct {
	mu    sync.Mutex // guards the fields below
	out   io.Writer
	skips map[string][]string // tests by reason
	took  []event             // tests of a second and more
}

// show prints what matters of one command's output as it comes.
func (l *log) show(in io.Reader) error {
	printed := map[string][]string{} // by package and test, of those that run
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			l.line(line, printed)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// line prints what matters of one line, and keeps in printed what may matter later.
func (l *log) line(line string, printed map[string][]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(l.out, line) // a message of go itself
		return
	}
	key := e.Package + " " + e.Test
	// A parent's time has its subtests' in it.
	if e.Elapsed >= 1 && e.Test != "" && !strings.Contains(e.Test, "/") {
		l.took = append(l.took, e)
	}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(l.out, e.Output)
	case e.Action == "output" && e.Test == "" && e.Output != "PASS\n":
		fmt.Fprint(l.out, e.Output)
	case e.Action == "output":
		printed[key] = append(printed[key], e.Output)
	case e.Action == "skip" && e.Test != "":
		why := reason(printed[key])
		l.skips[why] = append(l.skips[why], e.Package+"."+e.Test)
		delete(printed, key)
	case e.Action == "pass" && e.Test != "":
		delete(printed, key)
	case e.Action == "fail" && e.Test != "":
		fmt.Fprint(l.out, strings.Join(printed[key], ""))
		delete(printed, key)
	case e.Action == "fail":
		// What was running when the package ended: a panic, or a deadline.
		for _, k := range sortedKeys(printed) {
			if strings.HasPrefix(k, e.Package+" ") {
				fmt.Fprint(l.out, strings.Join(printed[k], ""))
				delete(printed, k)
			}
		}
	}
}

// slowest is how many of the slowest tests are shown.
const slowest = 20

// end prints the slowest tests and those that were skipped.
func (l *log) end() {
	slices.SortStableFunc(l.took, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range l.took[:min(slowest, len(l.took))] {
		fmt.Fprintf(l.out, "slow %6.1f s %s.%s\n", e.Elapsed, e.Package, e.Test)
	}
	for _, why := range sortedKeys(l.skips) {
		fmt.Fprintf(l.out, "skipped %d: %s: %s\n", len(l.skips[why]), why, strings.Join(l.skips[why], " "))
	}
}

// place is how a test's log begins.
var place = regexp.MustCompile(`^\S+\.go:\d+: `)

// reason returns what a skipped test printed, without go test's own lines.
func reason(printed []string) string {
	var words []string
	for _, line := range printed {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			words = append(words, place.ReplaceAllString(line, ""))
		}
	}
	return strings.Join(words, "; ")
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
