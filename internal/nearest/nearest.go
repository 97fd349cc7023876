// Package nearest finds the word that a misspelt one must mean.
package nearest

// Word returns the candidate that is nearest to a word: one that is at most two
// slips away, and one for short words. It returns false if no word is near.
func Word(word string, candidates []string) (string, bool) {
	best, bestDistance := "", 3
	for _, c := range candidates {
		if len(c) > len(word)+2 || len(word) > len(c)+2 {
			continue
		}
		slips := Distance(word, c)
		if slips < bestDistance && slips < (len(c)+1)/2 {
			best, bestDistance = c, slips
		}
	}
	return best, best != ""
}

// Distance counts the insertions, deletions and replacements of bytes that
// turn a into b.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
