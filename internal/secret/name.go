package secret

import (
	"slices"
	"strings"
	"unicode"
)

// secretWords make a name suspicious wherever they occur in it.
var secretWords = []string{
	"password", "passwords", "passwd", "passphrase", "passphrases", "passcode", "passcodes",
	"secret", "secrets", "credential", "credentials", "creds",
	"apikey", "apikeys", "privatekey", "privatekeys", "privkey", "jwt", "jwts", "bearer", "authorization",
	"token", "tokens", "dsn", "dsns", "connstring", "connstr",
}

// valueWords after "token" keep it suspicious: tokenValue.
var valueWords = []string{"value", "values", "string", "bytes", "data", "raw", "hex"}

// keyQualifiers make a "key" suspicious.
var keyQualifiers = []string{
	"api", "private", "signing", "sign", "secret", "encryption", "encrypt", "decryption", "cipher",
	"access", "auth", "session", "master", "hmac", "aes", "ssh", "tls", "rsa", "shared", "symmetric",
	"license", "crypto", "jwt", "cookie", "csrf",
}

// plainTokens make a token a position in a list or a text.
var plainTokens = []string{
	"page", "next", "prev", "previous", "continue", "continuation", "sync", "resume", "start", "end",
	"last", "first", "cursor", "watch", "lex", "lexer", "parse", "parser", "current", "peek", "cancel",
}

// aboutWords at the end of a name mean that it is only about a secret:
// tokenCount.
var aboutWords = []string{
	"count", "counts", "total", "len", "length", "size", "sizes", "limit", "limits", "max", "min",
	"id", "ids", "name", "names", "type", "types", "kind", "kinds", "file", "files", "filename", "path", "paths",
	"dir", "url", "urls", "uri", "ttl", "age", "expiry", "expires", "expiration", "at", "time", "timeout",
	"hint", "field", "fields", "header", "headers", "policy", "index", "state", "status", "version",
	"attempts", "errors", "error", "prefix", "env", "var", "format", "issuer", "audience", "scope", "scopes",
	"provider", "manager", "store", "ref", "regex", "regexp", "pattern", "help", "usage", "prompt", "label",
	"message", "namespace", "algorithm", "source", "endpoint", "mode", "required", "enabled",
}

// Word returns the words of a name that make it look like a secret's, ""
// if it does not. A bare "key" counts only for raw bytes: key strings are
// everywhere, and harmless.
func Word(name string, rawBytes bool) string {
	words := Words(name)
	if len(words) == 0 || slices.Contains(aboutWords, words[len(words)-1]) {
		return ""
	}
	for i, word := range words {
		before, after := "", ""
		if i > 0 {
			before = words[i-1]
		}
		if i+1 < len(words) {
			after = words[i+1]
		}
		switch {
		case word == "key" || word == "keys":
			if slices.Contains(keyQualifiers, before) {
				return before + " " + word
			}
			if rawBytes && len(words) == 1 {
				return word
			}
		case !slices.Contains(secretWords, word):
		case word != "token" && word != "tokens":
			return word
		case slices.Contains(plainTokens, before), after != "" && !slices.Contains(valueWords, after):
		default:
			return word
		}
	}
	return ""
}

// Words splits a Go name into lower-case words: HTTPAuthToken2 gives http,
// auth, token.
func Words(name string) []string {
	var words []string
	runes := []rune(name)
	begin := 0
	flush := func(end int) {
		if end > begin {
			words = append(words, strings.ToLower(string(runes[begin:end])))
		}
		begin = end
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			flush(i)
			begin = i + 1
		case i == begin || !unicode.IsUpper(r):
		case !unicode.IsUpper(runes[i-1]), i+1 < len(runes) && unicode.IsLower(runes[i+1]):
			flush(i)
		}
	}
	flush(len(runes))
	return words
}
