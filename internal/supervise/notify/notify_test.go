//go:build linux

package notify

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A receiver answers with the statuses in turn, the last one again and again.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	bodies   []string
	got      chan string
}

func receive(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses, got: make(chan string, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s, %v, %v", req.Method, req.Header, err)
		}
		r.mu.Lock()
		status := r.statuses[0]
		if len(r.statuses) > 1 {
			r.statuses = r.statuses[1:]
		}
		r.bodies = append(r.bodies, string(body))
		r.mu.Unlock()
		w.WriteHeader(status)
		r.got <- string(body)
	}))
	t.Cleanup(r.Close)
	return r
}

func start(t *testing.T, url, dir string) (n *Notifier, errs *[]string) {
	t.Helper()
	var mu sync.Mutex
	errs = &[]string{}
	n = &Notifier{
		URL: url, Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Dir: dir, Pauses: []time.Duration{time.Millisecond, time.Millisecond},
		Failed: func(err error) { mu.Lock(); *errs = append(*errs, err.Error()); mu.Unlock() },
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n, errs
}

const long = time.Minute // more than any test needs

func waitingIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A notification is posted, and its file is removed.
func TestPost(t *testing.T) {
	r, dir := receive(t, 200), filepath.Join(t.TempDir(), "notify")
	n, errs := start(t, r.URL, dir)
	n.Put("a", []byte("one"))
	n.Put("b", []byte("two"))
	n.Close(long)
	if want := []string{"one", "two"}; !slices.Equal(r.bodies, want) || len(waitingIn(t, dir)) > 0 || len(*errs) > 0 {
		t.Errorf("posted %q, want %q; %v wait; %q", r.bodies, want, waitingIn(t, dir), *errs)
	}
}

// Without room on the disk it is posted from memory.
func TestNoRoom(t *testing.T) {
	r, dir := receive(t, 200), t.TempDir()
	n, errs := start(t, r.URL, dir)
	n.Put("no/such/folder", []byte("one"))
	n.Close(long)
	if !slices.Equal(r.bodies, []string{"one"}) || len(*errs) != 1 {
		t.Errorf("posted %q, %q", r.bodies, *errs)
	}
}

// Errors that may pass are tried again; others are reported, and not again.
func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		posts    int
		err      string
		waits    bool
	}{
		{[]int{503, 429, 200}, 3, "", false},
		{[]int{500}, 3, "500 Internal Server Error; it waits in ", true},
		{[]int{403}, 1, "403 Forbidden", false},
		{[]int{302}, 1, "302 Found", false},
	} {
		r, dir := receive(t, c.statuses...), t.TempDir()
		n, errs := start(t, r.URL+"/secret", dir)
		n.Put("a", []byte("x"))
		for range c.posts {
			<-r.got
		}
		n.Close(long)
		if len(r.bodies) != c.posts || len(waitingIn(t, dir)) > 0 != c.waits {
			t.Errorf("%v: %d posts, %v wait", c.statuses, len(r.bodies), waitingIn(t, dir))
		}
		if text := strings.Join(*errs, "\n"); (text == "") != (c.err == "") || !strings.Contains(text, c.err) || strings.Contains(text, "secret") {
			t.Errorf("%v: %q, want %q", c.statuses, text, c.err)
		}
	}
}

// The next start posts what waits, once, also if several start together.
func TestNextStart(t *testing.T) {
	dir := t.TempDir()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	n, errs := start(t, "http://"+dead.Addr().String(), dir)
	n.Put("a", []byte("one"))
	n.Put("b", []byte("two"))
	n.Close(long)
	if len(waitingIn(t, dir)) != 2 || len(*errs) != 2 {
		t.Fatalf("%v wait, %q", waitingIn(t, dir), *errs)
	}
	r := receive(t, 200)
	var wg sync.WaitGroup
	for range 4 {
		n, _ := start(t, r.URL, dir)
		wg.Go(func() { n.Close(long) })
	}
	wg.Wait()
	slices.Sort(r.bodies)
	if !slices.Equal(r.bodies, []string{"one", "two"}) || len(waitingIn(t, dir)) > 0 {
		t.Errorf("posted %q, %v wait", r.bodies, waitingIn(t, dir))
	}
}

// An endpoint that accepts connections and is silent does not delay Close beyond
// its limit.
func TestSilentEndpoint(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dir := t.TempDir()
	n, _ := start(t, "http://"+silent.Addr().String(), dir)
	n.Put("a", []byte("one"))
	began := time.Now()
	n.Close(50 * time.Millisecond)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	<-n.done // the request was cancelled
	if len(waitingIn(t, dir)) != 1 {
		t.Errorf("%v wait", waitingIn(t, dir))
	}
}

// Old notifications, and more than fit, are removed.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	for i := range maxWaiting + 3 {
		path := filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26))+suffix)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-time.Hour + time.Duration(i)*time.Second)
		if i == maxWaiting+2 {
			when = time.Now().Add(-2 * maxAge)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	n := &Notifier{Dir: dir}
	if got := n.waiting(); len(got) != maxWaiting || filepath.Base(got[0]) != "ac"+suffix {
		t.Errorf("%d wait, from %s on", len(got), got[0])
	}
	if got := waitingIn(t, dir); len(got) != maxWaiting {
		t.Errorf("%d files are left", len(got))
	}
}
