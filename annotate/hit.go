package annotate

import "bytes"

// Hit reports whether a file can contain directives or near-misses that
// [Collect] reports. It only looks for comments that begin like the tool's
// name. If it returns false, no comment line of the file begins with the
// letters "mem", in any case, and [Collect] finds nothing.
func Hit(source []byte) bool {
	seen := 0 // block comments before this offset were already checked
	for at := 0; ; {
		i := bytes.IndexByte(source[at:], '/')
		if i < 0 || at+i+2 > len(source) {
			return false
		}
		at += i + 1
		mark := source[at]
		if mark != '/' && mark != '*' {
			continue
		}
		// Skip nothing: what looks like a comment may be in a string ("image/*",
		// "http://"), and a directive may follow on the same line.
		at++
		if startsLikeUs(source[at:]) {
			return true
		}
		if mark == '*' && at > seen {
			end := bytes.Index(source[at:], []byte("*/"))
			if end < 0 {
				end = len(source) - at
			}
			seen = at + end
			if blockHit(source[at:seen]) {
				return true
			}
		}
	}
}

// blockHit checks each line of a block comment.
func blockHit(body []byte) bool {
	for line := range bytes.Lines(body) {
		if startsLikeUs(bytes.TrimLeft(line, " \t*")) {
			return true
		}
	}
	return false
}

// startsLikeUs reports whether a comment's text begins with "mem", in any case,
// after the leading characters that near-misses may have.
func startsLikeUs(text []byte) bool {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '+' || text[0] == '@') {
		text = text[1:]
	}
	return len(text) >= 5 && text[0]|0x20 == 'm' && text[1]|0x20 == 'e' && text[2]|0x20 == 'm' && !plainWord(text[3:])
}

// plainWord reports whether the word is a common English or C one: memory,
// member, memo, memcpy.
func plainWord(text []byte) bool {
	for _, word := range []string{"or", "be", "o ", "cp", "se", "st"} {
		if bytes.HasPrefix(bytes.ToLower(text[:2]), []byte(word)) {
			return true
		}
	}
	return false
}
