package store

import (
	"net/http"
	"os"
	"strings"
	"sync"
)

// Secrets by what a request or the environment has.
var (
	visitors     = map[string]string{}        // want exclude "it gets the value of a cookie"
	current      string                       // want exclude "it gets the header .Authorization."
	trimmed      string                       // want exclude "it gets the header .Authorization."
	returned     string                       // want exclude "it gets the header .X-Api-Key."
	phrase       string                       // want exclude "it gets the environment variable .DB_PASSWORD."
	basic        string                       // want exclude "it gets the password of a request"
	byCaller     = map[string]int{}           // want exclude "it gets the header .X-Api-Key."
	recent       []string                     // want exclude "it gets the header .X-Auth-Token."
	waiting      = make(chan string, 1)       // want exclude "it gets the form value .otp."
	anything     sync.Map                     // want exclude "it gets the header .Cookie."
	seen         = map[string]http.Header{}   // want exclude "it is a net/http.Header"
	jar          = map[string]*http.Cookie{}  // want exclude "it is a net/http.Cookie"
	pending      = map[string]*http.Request{} // want exclude "it is a net/http.Request"
	otpCodes     = map[string]string{}        // want exclude "contains .otp."
	cookies      = map[string]string{}        // want exclude "contains .cookies."
	pins         = map[string]string{}        // want exclude "contains .pins."
	cardNumbers  = map[string]string{}        // want exclude "contains .card numbers."
	tokenCache   = map[string]string{}        // want exclude "contains .token."
	seedByName   = map[string][]byte{}        // want exclude "contains .seed."
	cookieJar    sync.Map                     // want exclude "contains .cookie."
	userBySeason = map[string]string{}        // want entry "map"
	accounts     = map[string]*Account{}      // want entry "map"
	agents       = map[string]string{}        // want entry "map"
	pinned       = map[string]string{}        // want entry "map"
	authors      = map[string]string{}        // want entry "map"
	sessionCount = map[string]int{}           // want entry "map"
	mailboxes    = map[string]chan *Letter{}  // want entry "map"
)

// A Letter is sent through channels, which captures follow.
type Letter struct {
	Text   string
	Secret string // want exclude "contains .secret."
}

// An Account has a key next to its password.
type Account struct {
	Password  string // want exclude "contains .password."
	StreamKey string // want exclude "it is a key, and Password is next to it"
	GroupKey  string
	Key       string
	Name      string
	Got       string // want exclude "it gets the header .X-Csrf-Token."
}

func init() { phrase = os.Getenv("DB_PASSWORD") }

func apiKey(r *http.Request) string { return r.Header.Get("X-Api-Key") }

func remember(first, second string) { current, trimmed = first, second }

// ServeSecrets handles requests.
func ServeSecrets(w http.ResponseWriter, r *http.Request) {
	mu.Lock()
	defer mu.Unlock()
	path := r.URL.Path
	if c, err := r.Cookie("id"); err == nil {
		visitors[c.Value] = path
		jar[path] = c
	}
	auth := r.Header.Get("Authorization")
	remember(auth, strings.TrimPrefix(auth, "Bearer "))
	returned = apiKey(r)
	byCaller[returned]++
	_, basic, _ = r.BasicAuth()
	recent = append(recent, r.Header.Get("X-Auth-Token"))
	waiting <- r.FormValue("otp")
	anything.Store(path, r.Header.Get("Cookie"))
	cookieJar.Store(path, path)
	seen[path] = r.Header
	pending[path] = r
	otpCodes[path], cookies[path], pins[path], cardNumbers[path], tokenCache[path] = path, path, path, path, path
	seedByName[path] = []byte(path)
	userBySeason[path], pinned[path], authors[path] = path, path, path
	agents[path] = r.Header.Get("User-Agent")
	sessionCount[path]++
	mailboxes[path] <- &Letter{Text: path}
	accounts[path] = &Account{Name: path, Got: r.Header.Get("X-Csrf-Token")}
}
