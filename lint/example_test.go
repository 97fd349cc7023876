package lint_test

import (
	"fmt"

	"github.com/meminspect/meminspect/lint"
)

// The analyzers are ordinary ones: give them to a driver, for example
// unitchecker.Main(lint.Analyzers(lint.Nolint)...).
func ExampleAnalyzers() {
	for _, a := range lint.Analyzers(lint.Nolint) {
		fmt.Printf("%s finds %s\n", a.Name, lint.Summary(a.Name))
	}
	// Output:
	// directive finds malformed, unknown and misplaced //meminspect: lines
	// stale finds annotations that the generated files do not have
	// unregistered finds IDs that are declared and never registered
	// unknownid finds registrations with a number that is not a declared ID
	// duplicate finds IDs that are registered twice
	// area finds areas that are larger than their variable
	// dropped finds dynamic registrations that cannot be unregistered
	// secret finds annotated values that look like secrets
	// unbounded finds captures that follow growing values without a budget
}
