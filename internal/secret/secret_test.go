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
		"password":        "password",
		"dbPassword":      "password",
		"DB_PASSWORD":     "password",
		"passwordHash":    "password",
		"userToken":       "token",
		"HTTPAuthToken2":  "token",
		"tokenValue":      "token",
		"APIKey":          "api key",
		"signingKeys":     "signing keys",
		"privateKeyPEM":   "private key",
		"clientSecret":    "secret",
		"credentials":     "credentials",
		"apikey":          "apikey",
		"postgresDSN":     "dsn",
		"":                "",
		"_":               "",
		"key":             "",
		"cacheKey":        "",
		"keyPrefix":       "",
		"monkey":          "",
		"passwordFile":    "",
		"secretName":      "",
		"tokenCount":      "",
		"tokenizer":       "",
		"tokenText":       "",
		"tokenStart":      "",
		"nextPageToken":   "",
		"continueToken":   "",
		"currentToken":    "",
		"pwd":             "",
		"compass":         "",
		"secretary":       "",
		"passwordMinimum": "password",
	} {
		if got := Word(name, false); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := Word("key", true); got != "key" {
		t.Errorf("raw bytes: %q", got)
	}
}
