package deliver

import (
	"errors"
	"fmt"
	"strings"
)

// Words splits a command line into words, as a shell does: at spaces, except in
// single or double quotes. A backslash keeps the next character, in double quotes
// only a quote or a backslash. There is no shell: what only a shell understands
// outside single quotes is an error.
func Words(line string) ([]string, error) {
	const shell = ";|&<>$`()*?~#\n"
	var words []string
	var word strings.Builder
	started := false // the word may be empty: ''
	quote := rune(0)
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			if quote == '"' && c != '"' && c != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, started = true, true
		case quote == c:
			quote = 0
		case quote == '\'':
			word.WriteRune(c)
		case quote == 0 && (c == '\'' || c == '"'):
			quote, started = c, true
		case quote == 0 && strings.ContainsRune(shell, c) || quote == '"' && (c == '$' || c == '`'):
			return nil, fmt.Errorf("%q is for a shell, and exec: starts no shell: quote it, or write exec:sh -c '…'", c)
		case quote == 0 && (c == ' ' || c == '\t'):
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(c)
			started = true
		}
	}
	switch {
	case escaped:
		return nil, errors.New("it ends with a backslash")
	case quote != 0:
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	case started:
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("it names no command")
	}
	return words, nil
}
