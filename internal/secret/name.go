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
	"dsn", "dsns", "connstring", "connstr", "cvv", "cvc",
}

// A role limits where a word makes a name suspicious.
type role struct {
	keys     bool     // also in the name of a map whose keys are text
	bytes    bool     // only in names of bytes
	follow   []string // words that may follow it: others make the name one of something else
	notAfter []string // words before it that make it harmless
}

// valueWords after a word keep it suspicious: tokenValue.
var valueWords = []string{"value", "values", "string", "strings", "bytes", "data", "raw", "hex"}

var codeWords = append([]string{"code", "codes"}, valueWords...)

// roles are words that have harmless meanings, too.
var roles = map[string]role{
	"token":    {keys: true, follow: valueWords, notAfter: plainTokens},
	"tokens":   {keys: true, follow: valueWords, notAfter: plainTokens},
	"cookie":   {keys: true, follow: append([]string{"header", "headers"}, valueWords...)},
	"cookies":  {keys: true, follow: valueWords},
	"otp":      {keys: true, follow: codeWords},
	"otps":     {keys: true},
	"totp":     {keys: true, follow: codeWords},
	"auth":     {follow: codeWords, notAfter: []string{"no", "skip", "require", "requires"}},
	"session":  {follow: append([]string{"cookie", "cookies"}, valueWords...)},
	"sessions": {},
	"pin":      {follow: codeWords, notAfter: plainPins},
	"pins":     {notAfter: plainPins},
	"pass":     {follow: valueWords, notAfter: plainPasses},
	"pwd":      {follow: valueWords},
	"pwds":     {},
	"seed":     {follow: append([]string{"phrase", "phrases"}, valueWords...)},
	"seeds":    {bytes: true}, // as text, they are the addresses of a cluster
	"salt":     {follow: valueWords},
	"salts":    {},
}

// plainTokens make a token a position in a list or a text.
var plainTokens = []string{
	"page", "next", "prev", "previous", "continue", "continuation", "sync", "resume", "start", "end",
	"last", "first", "cursor", "watch", "lex", "lexer", "parse", "parser", "current", "peek", "cancel",
}

// plainPins make a pin a fingerprint, or a contact of a chip.
var plainPins = []string{"cert", "certs", "certificate", "key", "spki", "public", "gpio", "input", "output", "in", "out", "map"}

// plainPasses make a pass one of several.
var plainPasses = []string{"first", "second", "last", "next", "single", "multi", "compiler", "opt", "must", "did", "can"}

// pairs of words at the end of a name make it suspicious. A name in upper case
// may have them as one word.
var pairs = []string{
	"connectionstring", "connectionstrings", "connstring", "connstrings", "connstr", "dburl", "dburls", "dburi", "databaseurl", "databaseurls", "databaseuri",
	"webhookurl", "webhookurls", // who knows it may post
	"postgresurl", "postgresqlurl", "pgurl", "mysqlurl", "redisurl", "mongourl", "mongouri", "mongodburi", "amqpurl", "rabbitmqurl",
	"cardnumber", "cardnumbers", "creditcard", "creditcards", "debitcard", "debitcards",
}

// keyQualifiers make a "key" suspicious.
var keyQualifiers = []string{
	"api", "private", "signing", "sign", "secret", "encryption", "encrypt", "decryption", "cipher",
	"access", "auth", "session", "master", "hmac", "aes", "ssh", "tls", "rsa", "shared", "symmetric",
	"license", "crypto", "jwt", "cookie", "csrf",
}

// plainKeys make a "key" one of a map, a table or a message, or a public one.
var plainKeys = []string{
	"public", "pub", "issuer", "subject", "verification", "verify", "host", "peer", "trusted", "cache", "map", "lookup", "context", "ctx", "partition", "primary",
	"foreign", "sort", "order", "group", "row", "index", "hash", "object", "bucket", "storage", "store", "routing", "route", "unique",
	"dedup", "idempotency", "label", "translation", "metric", "field", "header", "json", "config", "registry", "lock", "topic", "range",
	"start", "end", "first", "last", "next", "prev", "min", "max", "from", "to", "by", "is", "has", "missing", "duplicate", "queue", "shard",
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

// containerWords at the end of a container's name come after the name of what it
// contains: tokenCache.
var containerWords = []string{
	"cache", "caches", "map", "store", "jar", "list", "set", "table", "pool", "queue", "history", "log", "lru", "registry",
}

// A Use is what a name is the name of.
type Use struct {
	Text      bool // a text, or a list or map of texts; otherwise something that has or leads to some
	Bytes     bool // the text is bytes
	Enum      bool // the text's type is a named string type, which may have only a few values
	Container bool // a list, a map or a channel
	Map       bool
	Variable  bool // a variable, not a field
}

// Word returns the words of a name that make it look like a secret's, ""
// if it does not. A bare "key" counts only for bytes: key strings are
// everywhere, and harmless.
func Word(name string, use Use) string {
	words := Words(name)
	if use.Container {
		words = contained(words, use.Map)
	}
	return word(words, use)
}

// KeyWord is [Word] for the name of a map whose keys are text: userByToken,
// tokenToUser and tokens.
func KeyWord(name string) string {
	words := Words(name)
	if i := lastIndex(words, "by"); i >= 0 {
		if w := word(words[i+1:], Use{Text: true}); w != "" {
			return w
		}
	}
	if i := slices.Index(words, "to"); i >= 0 {
		if w := word(words[:i], Use{Text: true}); w != "" {
			return w
		}
	}
	return word(contained(words, true), Use{})
}

func word(words []string, use Use) string {
	if len(words) == 0 {
		return ""
	}
	last := words[len(words)-1]
	if n := len(words); use.Text {
		if slices.Contains(pairs, last) {
			return last
		}
		if n > 1 && slices.Contains(pairs, words[n-2]+last) {
			return words[n-2] + " " + last
		}
	}
	if slices.Contains(aboutWords, last) {
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
		if word == "key" || word == "keys" {
			if slices.Contains(keyQualifiers, before) {
				return before + " " + word
			}
			if use.Bytes && use.Variable && len(words) == 1 {
				return word
			}
		}
		if r, ok := roles[word]; slices.Contains(secretWords, word) || ok && r.suspicious(before, after, use) {
			return word
		}
	}
	return ""
}

// suspicious reports whether a word has its secret meaning between two others.
func (r *role) suspicious(before, after string, use Use) bool {
	switch {
	case !use.Text && !r.keys, r.bytes && !use.Bytes, use.Enum && !r.keys:
		return false
	}
	return !slices.Contains(r.notAfter, before) && (after == "" || slices.Contains(r.follow, after))
}

// contained removes the words of a container's name that come after the name of
// what it contains: refreshTokenCache, apiKeyByUser.
func contained(words []string, isMap bool) []string {
	if i := lastIndex(words, "by"); i > 0 {
		words = words[:i]
	}
	for len(words) > 1 {
		last := words[len(words)-1]
		if !slices.Contains(containerWords, last) && (!isMap || last != "headers") {
			break
		}
		words = words[:len(words)-1]
	}
	return words
}

func lastIndex(words []string, word string) int {
	for i, w := range slices.Backward(words) {
		if w == word {
			return i
		}
	}
	return -1
}

// keyBesides reports whether a field's name is that of a key that is a secret if
// the fields next to it are: JetStreamKey next to Password.
func keyBesides(name string, bytes bool) bool {
	words := Words(name)
	n := len(words)
	if n == 0 || words[n-1] != "key" && words[n-1] != "keys" {
		return false
	}
	if n == 1 {
		return bytes
	}
	return !slices.Contains(plainKeys, words[n-2])
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
		case !unicode.IsUpper(runes[i-1]), i+1 < len(runes) && unicode.IsLower(runes[i+1]) && !pluralAt(runes, i+1):
			flush(i)
		}
	}
	flush(len(runes))
	return words
}

// pluralAt reports whether the s at an index ends the plural of an abbreviation,
// as in OTPs and userPINsByName.
func pluralAt(runes []rune, i int) bool {
	return runes[i] == 's' && (i+1 == len(runes) || !unicode.IsLower(runes[i+1]))
}
