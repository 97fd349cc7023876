package secret

import (
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// A misspelt or renamed type would never be found.
func TestHoldersExist(t *testing.T) {
	names := map[string][]string{} // of types, by package
	var paths []string
	for _, key := range holders {
		at := strings.LastIndexByte(key, '.')
		path, name := key[:at], key[at+1:]
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") && path != "filippo.io/age" {
			continue // not among this module's requirements
		}
		if names[path] == nil {
			paths = append(paths, path)
		}
		names[path] = append(names[path], name)
	}
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedTypes}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != len(paths) {
		t.Errorf("%d packages of %d", len(pkgs), len(paths))
	}
	for _, pkg := range pkgs {
		for _, name := range names[pkg.PkgPath] {
			if pkg.Types == nil || pkg.Types.Scope().Lookup(name) == nil {
				t.Errorf("there is no %s.%s: %v", pkg.PkgPath, name, pkg.Errors)
			}
		}
	}
}

func TestWord(t *testing.T) {
	for name, want := range map[string]string{
		"pwd":                  "pwd",
		"lastAuth":             "auth",
		"authCode":             "auth",
		"authCodes":            "auth",
		"userOTPs":             "otps",
		"otpCode":              "otp",
		"pin":                  "pin",
		"userPIN":              "pin",
		"PINCode":              "pin",
		"pass":                 "pass",
		"dbPass":               "pass",
		"seed":                 "seed",
		"nonceSeed":            "seed",
		"seedPhrase":           "seed",
		"salt":                 "salt",
		"cookie":               "cookie",
		"cookieHeader":         "",
		"sessionCookie":        "session",
		"session":              "session",
		"cardNumber":           "card number",
		"connectionString":     "connection string",
		"connString":           "conn string",
		"dbURL":                "db url",
		"DBURL":                "dburl",
		"redisURL":             "redis url",
		"webhookURLs":          "webhook urls",
		"webhookURLCount":      "",
		"baseURL":              "",
		"dbURLPrefix":          "",
		"connectionStringName": "",
		"author":               "",
		"authority":            "",
		"authMode":             "",
		"authURL":              "",
		"requireAuth":          "",
		"sessionState":         "",
		"sessionName":          "",
		"cookieName":           "",
		"cookieDomain":         "",
		"pinned":               "",
		"pinnedCerts":          "",
		"certPins":             "",
		"gpioPin":              "",
		"spin":                 "",
		"passed":               "",
		"passage":              "",
		"bypass":               "",
		"firstPass":            "",
		"passName":             "",
		"seeded":               "",
		"seeds":                "",
		"seedNodes":            "",
		"saltStack":            "",
		"cardinality":          "",
		"card":                 "",
		"discard":              "",
		"cardType":             "",
		"tokenStore":           "",
		"password":             "password",
		"dbPassword":           "password",
		"DB_PASSWORD":          "password",
		"passwordHash":         "password",
		"userToken":            "token",
		"HTTPAuthToken2":       "token",
		"tokenValue":           "token",
		"APIKey":               "api key",
		"signingKeys":          "signing keys",
		"privateKeyPEM":        "private key",
		"clientSecret":         "secret",
		"credentials":          "credentials",
		"apikey":               "apikey",
		"postgresDSN":          "dsn",
		"":                     "",
		"_":                    "",
		"key":                  "",
		"cacheKey":             "",
		"keyPrefix":            "",
		"monkey":               "",
		"passwordFile":         "",
		"secretName":           "",
		"tokenCount":           "",
		"tokenizer":            "",
		"tokenText":            "",
		"tokenStart":           "",
		"nextPageToken":        "",
		"continueToken":        "",
		"currentToken":         "",
		"compass":              "",
		"secretary":            "",
		"passwordMinimum":      "password",
	} {
		if got := Word(name, Use{Text: true}); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := Word("key", Use{Text: true, Bytes: true, Variable: true}); got != "key" {
		t.Errorf("bytes: %q", got)
	}
	if got := Word("seeds", Use{Text: true, Bytes: true}); got != "seeds" {
		t.Errorf("bytes: %q", got)
	}
	if got := Word("auth", Use{Text: true, Enum: true}); got != "" {
		t.Errorf("one of a few values: %q", got)
	}
}

// The name of a container has more words, and harmless ones for what is not text.
func TestWordOfContainer(t *testing.T) {
	for name, want := range map[string]struct{ texts, others, keys string }{
		"refreshTokenCache": {"token", "token", "token"},
		"tokenStore":        {"token", "token", "token"},
		"tokensByID":        {"tokens", "tokens", "tokens"},
		"apiKeyByUser":      {"api key", "api key", "api key"},
		"cookieJar":         {"cookie", "cookie", "cookie"},
		"authHeaders":       {"auth", "", ""},
		"authCache":         {"auth", "", ""},
		"sessions":          {"sessions", "", ""},
		"sessionsByUser":    {"sessions", "", ""},
		"pinsByUser":        {"pins", "", ""},
		"userBySession":     {"", "", "session"},
		"userByAuth":        {"", "", "auth"},
		"tokenToUser":       {"", "", "token"},
		"secretBySession":   {"secret", "secret", "session"},
		"usersByName":       {"", "", ""},
		"tokenCountByUser":  {"", "", ""},
		"cacheByPage":       {"", "", ""},
		"cards":             {"", "", ""},
		"passes":            {"", "", ""},
		"headers":           {"", "", ""},
		"cache":             {"", "", ""},
	} {
		if got := Word(name, Use{Text: true, Container: true, Map: true}); got != want.texts {
			t.Errorf("%s of texts: %q, want %q", name, got, want.texts)
		}
		if got := Word(name, Use{Container: true, Map: true}); got != want.others {
			t.Errorf("%s of others: %q, want %q", name, got, want.others)
		}
		if got := KeyWord(name); got != want.keys {
			t.Errorf("the keys of %s: %q, want %q", name, got, want.keys)
		}
	}
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"HTTPAuthToken2": "http auth token", "OTPs": "otps", "userPINsByName": "user pins by name", "IDs": "ids",
		"dbURL": "db url", "HTTPServer": "http server", "X-Api-Key": "x api key", "APIs2": "apis",
	} {
		if got := strings.Join(Words(name), " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A field named Key is one of a map or a message, unless its neighbors are secrets.
func TestKeyBesides(t *testing.T) {
	for name, want := range map[string][2]bool{ // text, bytes
		"JetStreamKey": {true, true}, "OldKeys": {true, true}, "Key": {false, true}, "PublicKey": {}, "cacheKey": {},
		"keyPath": {}, "monkey": {}, "IssuerKey": {}, "": {},
	} {
		if got := [2]bool{keyBesides(name, false), keyBesides(name, true)}; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
