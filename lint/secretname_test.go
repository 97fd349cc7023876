package lint

import "testing"

func TestSecretWord(t *testing.T) {
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
		if got := secretWord(name, false); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := secretWord("key", true); got != "key" {
		t.Errorf("raw bytes: %q", got)
	}
}
