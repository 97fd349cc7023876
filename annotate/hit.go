package annotate

import "bytes"

// Hit reports whether a file can have directives, or near-misses, for [Collect].
// It looks only for comments that begin like the tool's name. If it returns
// false, the file has no line that begins with the letters "mem", in any case, and
// that Collect would report.
func Hit(source []byte) bool {
	seen := 0 // up to here lines of block comments were looked at
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
		// Nothing is skipped: what looks like a comment may be in a string
		// ("image/*", "http://") and a directive may follow on the same line.
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

// blockHit looks at each line of a block comment.
func blockHit(body []byte) bool {
	for line := range bytes.Lines(body) {
		if startsLikeUs(bytes.TrimLeft(line, " \t*")) {
			return true
		}
	}
	return false
}

// startsLikeUs reports whether a comment's text begins with "mem", in any case,
// after the characters that near-misses have there.
func startsLikeUs(text []byte) bool {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '+' || text[0] == '@') {
		text = text[1:]
	}
	return len(text) >= 5 && text[0]|0x20 == 'm' && text[1]|0x20 == 'e' && text[2]|0x20 == 'm' && !plainWord(text[3:])
}

// plainWord reports whether the rest of the word is that of a common one: memory,
// member, memo, memcpy.
func plainWord(text []byte) bool {
	for _, word := range []string{"or", "be", "o ", "cp", "se", "st"} {
		if bytes.HasPrefix(bytes.ToLower(text[:2]), []byte(word)) {
			return true
		}
	}
	return false
}
