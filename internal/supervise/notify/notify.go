//go:build linux

// Package notify posts notifications about cores to a URL. It never makes the
// program wait: notifications are posted by a goroutine, and those that cannot
// be posted in time wait in a directory for the next start.
package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// Bounds of the directory.
const (
	maxWaiting = 100
	maxAge     = 24 * time.Hour
	maxBytes   = 16 << 20 // of a notification
)

const (
	suffix  = ".json"
	partial = ".partial-"
)

// A Notifier posts notifications. Its URL is a secret, and is in no error.
type Notifier struct {
	// URL receives each notification as the body of a POST request.
	URL    string
	Client *http.Client

	// Dir is the directory of notifications that wait.
	Dir string

	// Pauses are the times between attempts while the program runs.
	Pauses []time.Duration

	// Failed, if not nil, is called with each error.
	Failed func(error)

	ctx     context.Context
	cancel  context.CancelFunc
	closing chan struct{}
	done    chan struct{}

	mu     sync.Mutex
	queue  []*item
	more   chan struct{} // has one value if the queue may have items
	closed bool
}

// An item is a notification to post.
type item struct {
	path string // of its file, "" if it is only in memory
	data []byte // nil: read the file
}

// DefaultPauses back off up to a minute.
func DefaultPauses() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute}
}

// Start begins to post, first what waits in the directory.
func (n *Notifier) Start() error {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return fmt.Errorf("notifications: %w", err)
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.closing, n.done, n.more = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	for _, path := range n.waiting() {
		n.queue = append(n.queue, &item{path: path})
	}
	n.more <- struct{}{}
	go n.work()
	return nil
}

// Put stores a notification and returns.
func (n *Notifier) Put(name string, data []byte) {
	it := &item{path: filepath.Join(n.Dir, name+suffix), data: data}
	if err := plainfile.Replace(it.path, partial, data); err != nil {
		n.failed(fmt.Errorf("notification: %w", err)) // it is posted from memory
		it.path = ""
	}
	n.mu.Lock()
	n.queue = append(n.queue, it)
	n.mu.Unlock()
	select {
	case n.more <- struct{}{}:
	default:
	}
}

// Close returns when everything was tried once, or after wait. What was not
// posted stays in the directory.
func (n *Notifier) Close(wait time.Duration) {
	n.mu.Lock()
	first := !n.closed
	n.closed = true
	n.mu.Unlock()
	if first {
		close(n.closing)
	}
	select {
	case <-n.done:
	case <-time.After(wait):
	}
	n.cancel()
}

func (n *Notifier) failed(err error) {
	if n.Failed != nil {
		n.Failed(err)
	}
}

// next returns the first item, or nil when no more will come.
func (n *Notifier) next() *item {
	for {
		n.mu.Lock()
		if len(n.queue) > 0 {
			it := n.queue[0]
			n.queue = n.queue[1:]
			n.mu.Unlock()
			return it
		}
		n.mu.Unlock()
		select {
		case <-n.more:
		case <-n.closing:
			n.mu.Lock()
			empty := len(n.queue) == 0
			n.mu.Unlock()
			if empty {
				return nil
			}
		}
	}
}

func (n *Notifier) work() {
	defer close(n.done)
	for it := n.next(); it != nil; it = n.next() {
		n.post(it)
	}
}

// post posts an item, again and again while the program runs.
func (n *Notifier) post(it *item) {
	lock := it.claim()
	if it.path != "" && lock == nil {
		return // another supervisor posts it, or has posted it
	}
	if lock != nil {
		defer lock.Close()
	}
	pauses := n.Pauses
	for {
		again, err := n.attempt(it)
		if err == nil || !again {
			it.remove()
		}
		if err == nil {
			return
		}
		if !again {
			n.failed(fmt.Errorf("notification: %w; it is not posted again", err))
			return
		}
		if len(pauses) == 0 || n.isClosing() {
			n.failed(fmt.Errorf("notification: %w; %s", err, it.place()))
			return
		}
		select {
		case <-time.After(pauses[0]):
		case <-n.closing: // one more attempt
		}
		pauses = pauses[1:]
	}
}

func (n *Notifier) isClosing() bool {
	select {
	case <-n.closing:
		return true
	default:
		return false
	}
}

// attempt posts an item once and reports whether another attempt may succeed.
func (n *Notifier) attempt(it *item) (again bool, err error) {
	if it.data == nil {
		if it.data, err = plainfile.Read(it.path, maxBytes); err != nil {
			return false, err
		}
	}
	req, err := http.NewRequestWithContext(n.ctx, http.MethodPost, n.URL, bytes.NewReader(it.data))
	if err != nil {
		return false, errors.New("that is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "meminspect")
	resp, err := n.Client.Do(req)
	if err != nil {
		var uerr *url.Error
		if errors.As(err, &uerr) {
			err = uerr.Err // without the URL
		}
		return true, fmt.Errorf("post to %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // for the next request on this connection
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	return again, fmt.Errorf("post to %s: %d %s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
}

// claim locks the item's file, so that one supervisor posts it. It returns nil
// if that is not possible.
func (it *item) claim() *os.File {
	if it.path == "" {
		return nil
	}
	f, err := plainfile.Open(it.path)
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	if _, err := os.Lstat(it.path); err != nil { // posted and removed in between
		f.Close()
		return nil
	}
	return f
}

func (it *item) remove() {
	if it.path != "" {
		os.Remove(it.path)
	}
}

func (it *item) place() string {
	if it.path == "" {
		return "it is lost"
	}
	return "it waits in " + it.path
}

// waiting returns the files that wait, the oldest first, and removes those that
// are too old or too many.
func (n *Notifier) waiting() []string {
	entries, err := os.ReadDir(n.Dir)
	if err != nil {
		return nil
	}
	type file struct {
		path string
		when time.Time
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), partial) && time.Since(info.ModTime()) > maxAge {
			os.Remove(filepath.Join(n.Dir, e.Name())) // its writer was killed
		}
		if err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, file{filepath.Join(n.Dir, e.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return a.when.Compare(b.when) })
	var paths []string
	for i, f := range files {
		if time.Since(f.when) > maxAge || len(files)-i > maxWaiting {
			os.Remove(f.path)
			continue
		}
		paths = append(paths, f.path)
	}
	return paths
}
