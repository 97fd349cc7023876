// Package store has package-level state.
package store

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
)

// A Session has secrets of two kinds.
type Session struct {
	User  string
	Token string   // want exclude "contains .token."
	Login *url.URL // want exclude "it leads to Login.User: it is a net/url.Userinfo"
	carts [][]string
}

var (
	mu       sync.RWMutex             // want entry "lock that 3 functions use"
	sessions = map[string]*Session{}  // want entry "map that addSession changes in requests or loops, under a lock"
	jobs     = make(chan int, 8)      // want entry "channel that .* in requests or loops; read in 1 place"
	served   atomic.Int64             // want entry "counter that 1 function changes|counter that ServeHTTP changes"
	stats    = expvar.NewMap("store") // want entry "map of counters"

	// pageCache is a cache by its name.
	pageCache sync.Map // want entry "cache \\(a map\\)"

	//meminspect:entry
	drafts = map[string]int{} // want entry done "map"

	//meminspect:exclude
	password string
)

// Secrets by name, type and use.
var (
	apiToken   string             // want exclude "contains .token."
	signing    *rsa.PrivateKey    // want exclude "it is a crypto/rsa.PrivateKey"
	salt       []byte             // want exclude "it is passed to crypto/hmac.New"
	dbPhrase   string             // want exclude "the flag .db-password. sets it"
	rawConfig  []byte             // want exclude "unparsed configuration"
	userTokens = map[string]int{} // want exclude "its keys are text"
)

// None of these is state.
var (
	ErrNone  = errors.New("none")
	pattern  = regexp.MustCompile("a+")
	table    = map[string]int{"a": 1}
	handlers = map[string]func(){}
	byName   = map[string]int{}
	once     sync.Once
	lazy     map[string]int
	output   = os.Stderr
	exit     = os.Exit
	quiet    bool
)

// Register is for init functions of importers.
func Register(name string, handler func()) { handlers[name] = handler }

func fill() { byName["b"] = 2 }

func init() {
	fill()
	flag.BoolVar(&quiet, "quiet", false, "")
	flag.StringVar(&dbPhrase, "db-password", "", "")
}

func lookup(name string) int {
	once.Do(func() { lazy = map[string]int{"c": 3} })
	return table[name] + lazy[name] + byName[name]
}

type handler struct{}

func (handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	served.Add(1)
	stats.Add("requests", 1)
	addSession(r.URL.Path)
	pageCache.Store(r.URL.Path, w)
	drafts[r.URL.Path]++
	userTokens[r.URL.Path]++
	jobs <- lookup(pattern.String())
	mac := hmac.New(sha256.New, salt)
	mac.Write(rawConfig)
}

func addSession(name string) {
	mu.Lock()
	defer mu.Unlock()
	sessions[name] = &Session{User: name}
}

// Count reads sessions.
func Count() int {
	mu.RLock()
	defer mu.RUnlock()
	return len(sessions)
}

// Serve starts the server.
func Serve() {
	rawConfig, _ = os.ReadFile("store.conf")
	go work()
	exit(len(fmt.Sprint(http.ListenAndServe("", handler{}), ErrNone, signing, apiToken, password, quiet, output)))
}

func work() {
	for job := range jobs {
		fmt.Println(job)
	}
}
