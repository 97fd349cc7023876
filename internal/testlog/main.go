// Command testlog reads what `go test -json` prints and shows what matters of
// it: the line of each package, all the output of failing tests, and at the end
// the slowest tests, and what was skipped for which reason. A skip that stays
// unseen hides what is missing.
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
)

func main() {
	if err := show(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "testlog: %v\n", err)
		os.Exit(1)
	}
}

// An event is a line of test2json; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// slowest is how many of the slowest tests are shown.
const slowest = 20

// show copies what matters of in to out.
func show(in io.Reader, out io.Writer) error {
	printed := map[string][]string{} // by package and test, of those that run
	skips := map[string][]string{}   // tests by reason
	var took []event
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if err != nil && line == "" {
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprint(out, line) // a message of go itself
			continue
		}
		key := e.Package + " " + e.Test
		// A parent's time has its subtests' in it.
		if e.Elapsed >= 1 && e.Test != "" && !strings.Contains(e.Test, "/") {
			took = append(took, e)
		}
		switch {
		case e.Action == "build-output":
			fmt.Fprint(out, e.Output)
		case e.Action == "output" && e.Test == "" && e.Output != "PASS\n":
			fmt.Fprint(out, e.Output)
		case e.Action == "output":
			printed[key] = append(printed[key], e.Output)
		case e.Action == "skip" && e.Test != "":
			why := reason(printed[key])
			skips[why] = append(skips[why], e.Package+"."+e.Test)
			delete(printed, key)
		case e.Action == "pass" && e.Test != "":
			delete(printed, key)
		case e.Action == "fail" && e.Test != "":
			fmt.Fprint(out, strings.Join(printed[key], ""))
			delete(printed, key)
		case e.Action == "fail":
			// What was running when the package ended: a panic, or a deadline.
			for _, k := range sortedKeys(printed) {
				if strings.HasPrefix(k, e.Package+" ") {
					fmt.Fprint(out, strings.Join(printed[k], ""))
					delete(printed, k)
				}
			}
		}
	}
	slices.SortStableFunc(took, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range took[:min(slowest, len(took))] {
		fmt.Fprintf(out, "slow %6.1f s %s.%s\n", e.Elapsed, e.Package, e.Test)
	}
	for _, why := range sortedKeys(skips) {
		fmt.Fprintf(out, "skipped %d: %s: %s\n", len(skips[why]), why, strings.Join(skips[why], " "))
	}
	return nil
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
