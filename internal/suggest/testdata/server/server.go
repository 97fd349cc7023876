// Package server has its state in structs.
package server

import (
	"crypto"
	"net"
	"net/url"
	"sync"
)

// A Server is created once.
type Server struct {
	mu    sync.Mutex
	conns map[net.Conn]*conn
	queue chan string
	total int
	key   []byte
	opts  Options
}

// Options are set once.
type Options struct {
	Address  string
	Password string   // want exclude "contains .password."
	Upstream *url.URL // want exclude "it leads to Upstream.User"
	Fallback *url.URL // want exclude "it leads to Fallback.User"
	Auth     checker
	Login    KeyPair       // want exclude "it is a .*KeyPair"
	TLS      crypto.Signer // want exclude "it is a crypto.Signer"
	Random   Seeder        // want exclude "it is a .*Seeder"
	Dice     roller
}

// A KeyPair leads to a private key, which its implementations elsewhere have.
type KeyPair interface{ Sign([]byte) ([]byte, error) }

// A Seeder leads to the seed of a key.
type Seeder interface{ Seed() ([]byte, error) }

// A roller's seed is a number.
type roller interface{ Seed(n int64) }

// A checker is an interface with one implementation.
type checker interface {
	Check(name string) bool
	Allow(name string)
	Forbid(name string)
}

type tokenChecker struct {
	userTokens map[string]bool // want exclude "its keys are text"
}

func (t *tokenChecker) Check(name string) bool { return t.userTokens[name] }
func (t *tokenChecker) Allow(name string)      { t.userTokens[name] = true }
func (t *tokenChecker) Forbid(name string)     { delete(t.userTokens, name) }

// New returns a server.
func New(opts Options) *Server {
	s := &Server{conns: map[net.Conn]*conn{}, opts: opts} // want register "3 fields that its methods change, under a lock; it starts goroutines"
	s.queue = make(chan string)
	return s
}

// Run serves connections.
func (s *Server) Run(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go s.serve(c)
	}
}

func (s *Server) serve(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.conns[c] = newConn(c)
	s.queue <- "accepted"
}

// A conn is created for each connection: the server leads to all of them.
type conn struct {
	mu      sync.Mutex
	pending []string
	buffer  *limiter
}

func newConn(c net.Conn) *conn { return &conn{buffer: newLimiter()} }

func (c *conn) Close() {
	c.mu.Lock()
	c.pending = append(c.pending, "closed")
	c.mu.Unlock()
}

// A limiter exists for each connection, too.
type limiter struct {
	mu    sync.Mutex
	slots map[string]int
}

func newLimiter() *limiter { return &limiter{slots: map[string]int{}} }

func (l *limiter) Start() {
	l.mu.Lock()
	l.slots["a"]++
	l.mu.Unlock()
}

// A Summary only has the fields of an answer.
type Summary struct {
	Names []string
}

// Summarize fills a summary.
func Summarize(s *Server) *Summary {
	sum := &Summary{}
	for range s.conns {
		sum.Names = append(sum.Names, "conn")
	}
	return sum
}
