package annotate

import "bytes"

// Hit tells whether a file may have lines for [Collect] to understand or
// report, by its bytes alone: whether somewhere a comment mark is followed by
// something like our name. It errs on the side of true; false is certain for
// everything that begins with the letters "mem" in any case.
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

// startsLikeUs tells whether a comment's text begins with "mem", whatever its
// case, behind the junk that near-misses put there.
func startsLikeUs(text []byte) bool {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '+' || text[0] == '@') {
		text = text[1:]
	}
	return len(text) >= 5 && text[0]|0x20 == 'm' && text[1]|0x20 == 'e' && text[2]|0x20 == 'm' && !plainWord(text[3:])
}

// plainWord tells that the word goes on like one that cannot be meant for us:
// memory, member, memo, memcpy.
func plainWord(text []byte) bool {
	for _, word := range []string{"or", "be", "o ", "cp", "se", "st"} {
		if bytes.HasPrefix(bytes.ToLower(text[:2]), []byte(word)) {
			return true
		}
	}
	return false
}
