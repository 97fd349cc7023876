package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A viewServer serves the pages of cores to the browser of its user. Other users of the
// machine, and pages of other sites in the same browser, can reach its port too: each URL
// begins with a token that only the user knows, the name of the host must be the
// address, and a request from a page of another origin is refused. A page of another origin
// that leads the browser to the URL, with the token, does not get its contents.
type viewServer struct {
	whole []byte // the page of the cores that were given; nil for a list of those of the directory
	list  func() ([]listJSON, error)
	write func(w io.Writer, cores []string) error

	token string
	host  string
	mu    sync.Mutex // one page is made at a time
}

// serve serves until the context ends. started is called with the URL.
func (s *viewServer) serve(ctx context.Context, started func(url string) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.token, s.host = rand.Text(), l.Addr().String()
	const request, response = 10 * time.Second, 10 * time.Minute // to make and to send a page
	server := &http.Server{Handler: s, ReadTimeout: request, WriteTimeout: response}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	if err := started("http://" + s.host + "/" + s.token + "/"); err != nil {
		return errors.Join(err, server.Close())
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// ServeHTTP implements http.Handler.
func (s *viewServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, rest, slash := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	origin := r.Header.Get("Origin")
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1,
		r.Host != s.host,
		origin != "" && origin != "http://"+s.host,
		site != "" && site != "none" && site != "same-origin" && r.Header.Get("Sec-Fetch-Dest") != "document":
		http.Error(w, "use the URL that meminspect view prints", http.StatusForbidden)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	case !slash: // the links of the page would lead out of the token's folder
		http.Redirect(w, r, "/"+s.token+"/", http.StatusFound)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	switch {
	case rest == "" && s.whole != nil:
		sendPage(w, s.whole)
	case rest == "":
		s.index(w, r)
	case rest == "view" && s.whole == nil:
		s.selected(w, r)
	default:
		http.NotFound(w, r)
	}
}

func sendPage(w http.ResponseWriter, page []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // an error means that the browser has gone
}

// selected writes the page of the cores that the query names. They must be in the list:
// a page is never made of another file.
func (s *viewServer) selected(w http.ResponseWriter, r *http.Request) {
	lines, err := s.list()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var cores []string
	for _, line := range slices.Backward(lines) { // the earliest first
		if slices.Contains(r.URL.Query()["core"], line.Core) {
			cores = append(cores, line.Core)
		}
	}
	if len(cores) == 0 {
		http.Error(w, "select a core of the list: none is selected, or it was removed", http.StatusNotFound)
		return
	}
	var b bytes.Buffer
	s.mu.Lock() // not while the page is sent: the browser may be slow
	err = s.write(&b, cores)
	s.mu.Unlock()
	if err != nil {
		http.Error(w, string(escape([]byte(err.Error()))), http.StatusInternalServerError)
		return
	}
	sendPage(w, b.Bytes())
}

// index writes the list of cores.
func (s *viewServer) index(w http.ResponseWriter, r *http.Request) {
	lines, err := s.list()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	query := r.URL.Query().Get("q")
	lines = slices.DeleteFunc(lines, func(l listJSON) bool {
		return !strings.Contains(strings.ToLower(l.Program+" "+l.Reason+" "+l.Message), strings.ToLower(query))
	})
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	_, _ = w.Write(indexPage(lines, query)) // an error means that the browser has gone
}
