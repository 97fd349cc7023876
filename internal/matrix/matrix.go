// Package matrix decides how much of the large test matrices runs: a sample of
// each, or with MEMINSPECT_FULL set all of it.
package matrix

import "os"

// Sampled is the reason for skipping a part of a matrix.
const Sampled = "a sample of the matrix: MEMINSPECT_FULL=1 runs all of it"

// Whole reports whether all of every matrix runs.
func Whole() bool { return os.Getenv("MEMINSPECT_FULL") != "" }

// Choose returns sample or whole: how many rounds, or which variants.
func Choose[T any](sample, whole T) T {
	if Whole() {
		return whole
	}
	return sample
}
