//go:build linux

package deliver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/corefile/store"
)

var content = strings.Repeat("the core's own bytes, ", 1000)

func core() Core {
	return Core{Name: "a.1.20261120T120000.000Z.panic.core", Program: "a", PID: 1, Reason: "panic", Size: int64(len(content)),
		Write: func(w io.Writer) error { _, err := io.WriteString(w, content); return err }}
}

func sh(line string) []string { return []string{"sh", "-c", line} }

func TestCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	env := []string{"PATH=" + os.Getenv("PATH"), "OUT=" + out}
	if err := Command(t.Context(), sh(`cat > "$OUT"; echo "$MEMINSPECT_CORE $MEMINSPECT_REASON $MEMINSPECT_PROGRAM $MEMINSPECT_PID" >> "$OUT"`), env, core()); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out); string(got) != content+core().Name+" panic a 1\n" {
		t.Errorf("%d bytes", len(got))
	}
	if err := Command(t.Context(), sh("cat > /dev/null; echo no room >&2; exit 3"), env, core()); err == nil || !strings.Contains(err.Error(), "exit status 3: no room") {
		t.Error(err)
	}
	// A command that reads only a part, although it exits with status 0.
	big := core()
	big.Write = func(w io.Writer) error {
		for range 1000 {
			if _, err := io.WriteString(w, content); err != nil {
				return err
			}
		}
		return nil
	}
	if err := Command(t.Context(), sh("head -c 10 > /dev/null"), env, big); err == nil {
		t.Error("a core that was not taken passes for delivered")
	}
}

// The end of the wait kills a command, and the error names the reason.
func TestCommandKilled(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("killed after a while"))
	defer cancel()
	if err := Command(ctx, sh("cat > /dev/null; exec sleep 1000"), nil, core()); err == nil || !strings.Contains(err.Error(), "command for cores: killed after a while: ") {
		t.Error(err)
	}
}

// A bucket is an object store that accepts presigned PUTs, and fails on
// request.
type bucket struct {
	sync.Mutex
	*httptest.Server
	objects map[string]string
	fail    []int
	tries   int
}

func newBucket(t *testing.T) *bucket {
	b := &bucket{objects: map[string]string{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.Lock()
		defer b.Unlock()
		b.tries++
		if r.Method != http.MethodPut || r.ContentLength <= 0 || r.URL.Query().Get("signature") != "s3cret" {
			http.Error(w, "refused", http.StatusForbidden)
			return
		}
		data, _ := io.ReadAll(r.Body)
		if len(b.fail) > 0 {
			status := b.fail[0]
			b.fail = b.fail[1:]
			http.Error(w, "try later", status)
			return
		}
		b.objects[r.URL.Path] = string(data)
	}))
	t.Cleanup(b.Close)
	return b
}

// A courierOf sends to sender, with short pauses, and stops at the end of the test.
func courierOf(t *testing.T, sender Sender) *Courier {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "spool"), store.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	c := &Courier{Sender: sender, Spool: s.Write, Waiting: s.Dir(), Wait: await.Limit, Attempt: await.Limit, Unspooled: await.Limit, Pauses: []time.Duration{time.Millisecond}}
	c.Start(t.Context())
	t.Cleanup(c.Close)
	return c
}

func put(url string) *Put { return &Put{URL: url, Client: http.DefaultClient} }

func TestUpload(t *testing.T) {
	b := newBucket(t)
	c := courierOf(t, put(b.URL+"/cores/{name}?signature=s3cret"))
	b.fail = []int{500, 429}
	if where, err := c.Put(core()); err != nil || where != core().Name {
		t.Fatal(where, err)
	}
	if b.objects["/cores/"+core().Name] != content || b.tries != 3 || len(c.waiting()) != 0 {
		t.Errorf("%d objects after %d tries, %v waiting", len(b.objects), b.tries, c.waiting())
	}
}

// A dead, a silent and a slow endpoint delay Put for the wait alone. The core is
// in the spool then, and is delivered when the endpoint recovers, or by the next
// start.
func TestUploadLate(t *testing.T) {
	for name, again := range map[string]string{"recovers": "", "next start": "next"} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			mended := make(chan struct{})
			arrived := make(chan struct{}, 1)
			silent := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				select {
				case arrived <- struct{}{}:
				default:
				}
				select {
				case <-mended:
					return http.DefaultTransport.RoundTrip(r)
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})}
			c := courierOf(t, &Put{URL: b.URL + "/{name}?signature=s3cret", Client: silent})
			notes := make(chan string, 10)
			c.Wait, c.Note = time.Millisecond, func(text string) { notes <- text }
			_, err := c.Put(core())
			if waiting := c.waiting(); err == nil || len(waiting) != 1 || !strings.HasSuffix(err.Error(), "; the core waits in "+waiting[0]) {
				t.Fatalf("%v, %v waiting", err, waiting)
			}
			<-arrived
			if again == "" {
				close(mended)
				if note := <-notes; note != core().Name+" was delivered" {
					t.Error(note)
				}
			} else {
				c.Close()
				next := &Courier{Sender: put(b.URL + "/{name}?signature=s3cret"), Waiting: c.Waiting, Attempt: c.Attempt, Pauses: c.Pauses}
				if !await.Poll(func() bool { return unlocked(c.waiting()) }) {
					t.Fatal("the first courier keeps the core")
				}
				next.Start(t.Context())
				if !await.Poll(func() bool { return len(c.waiting()) == 0 }) {
					t.Fatal("the next start does not send it")
				}
			}
			b.Lock()
			defer b.Unlock()
			if b.objects["/"+core().Name] != content || len(c.waiting()) != 0 {
				t.Errorf("%d objects, %v waiting", len(b.objects), c.waiting())
			}
		})
	}
}

// unlocked reports whether no courier is sending the files.
func unlocked(paths []string) bool {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		f.Close()
		if err != nil {
			return false
		}
	}
	return true
}

// The URL is secret, whatever goes wrong; and a permanent failure is not
// retried.
func TestUploadRefused(t *testing.T) {
	b := newBucket(t)
	for _, url := range []string{b.URL + "/x?signature=wr0ng", "http://127.0.0.1:1/x?signature=wr0ng", "::wr0ng"} {
		c := courierOf(t, put(url))
		c.Pauses = []time.Duration{time.Hour}
		b.tries = 0
		if strings.Contains(url, ":1/") {
			c.Wait = time.Second / 10 // it may pass
		}
		_, err := c.Put(core())
		if err == nil || strings.Contains(err.Error(), "wr0ng") || len(c.waiting()) != 1 {
			t.Errorf("%v, %v waiting", err, c.waiting())
		}
		if b.tries > 1 {
			t.Errorf("%d tries", b.tries)
		}
	}
}

// Without {name} all cores would replace one object: an older one is not sent
// after a newer one.
func TestUploadOneObject(t *testing.T) {
	b := newBucket(t)
	c := courierOf(t, put(b.URL+"/x?signature=s3cret"))
	b.fail = []int{403}
	if _, err := c.Put(core()); err == nil || len(c.waiting()) != 1 {
		t.Fatalf("%v, %v waiting", err, c.waiting())
	}
	c.Start(t.Context())
	newer := core()
	newer.Name = strings.Replace(newer.Name, "a.1.", "a.2.", 1)
	if _, err := c.Put(newer); err != nil || b.tries != 2 || len(c.waiting()) != 1 {
		t.Errorf("%v, %d tries, %v waiting", err, b.tries, c.waiting())
	}
}

// Two supervisors share a spool: one of them sends each core.
func TestUploadTwice(t *testing.T) {
	b := newBucket(t)
	c := courierOf(t, put(b.URL+"/{name}?signature=s3cret"))
	other := *c
	c.Sender = &Put{URL: b.URL + "/{name}?signature=s3cret", Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		for _, path := range other.waiting() {
			if again, err := other.sendFile(path); err == nil || !again {
				t.Errorf("the other sent it too: %v", err)
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})}}
	if _, err := c.Put(core()); err != nil || b.tries != 1 || b.objects["/"+core().Name] != content {
		t.Errorf("%v, %d tries, %d objects", err, b.tries, len(b.objects))
	}
}

// A core that another supervisor is writing to the spool is not sent.
func TestUploadUnfinished(t *testing.T) {
	b := newBucket(t)
	c := courierOf(t, put(b.URL+"/{name}?signature=s3cret"))
	_, err := c.Spool(core().Name, 0, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		if files, err := os.ReadDir(c.Waiting); err != nil || len(files) == 0 || len(c.waiting()) != 0 {
			t.Errorf("%v, %v: waiting: %v", files, err, c.waiting())
		}
		return nil
	})
	if err != nil || len(c.waiting()) != 1 {
		t.Errorf("%v: %v", err, c.waiting())
	}
}

// If the spool has no room, the core is sent from memory.
func TestUploadUnspooled(t *testing.T) {
	b := newBucket(t)
	c := courierOf(t, put(b.URL+"/{name}?signature=s3cret"))
	c.Spool = func(string, int64, func(io.Writer) error) (string, error) { return "", errors.New("no room") }
	if _, err := c.Put(core()); err != nil || b.objects["/"+core().Name] != content {
		t.Errorf("%v, %d objects", err, len(b.objects))
	}
	b.fail = []int{503}
	if _, err := c.Put(core()); err == nil || !strings.Contains(err.Error(), "no room") || !strings.Contains(err.Error(), "503") {
		t.Error(err)
	}
}

// A core that has no room in the spool has one attempt, which may last longer than the
// wait for cores that are safe there. The error has the reason why that is over.
func TestUploadUnspooledWait(t *testing.T) {
	b := newBucket(t)
	c := courierOf(t, put(b.URL+"/{name}?signature=s3cret"))
	c.Spool = func(string, int64, func(io.Writer) error) (string, error) { return "", errors.New("no room") }
	c.Wait = time.Nanosecond
	if _, err := c.Put(core()); err != nil || b.objects["/"+core().Name] != content {
		t.Errorf("%v, %d objects", err, len(b.objects))
	}
	c.Unspooled = time.Millisecond
	c.Sender = put(stuck(t) + "/{name}?signature=s3cret")
	const want = "upload: not finished within 1ms: context deadline exceeded: raise --to-wait; the core is lost"
	if _, err := c.Put(core()); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	c.Close()
	if _, err := c.Put(core()); !errors.Is(err, errInterrupted) {
		t.Error(err)
	}
}

// stuck returns the URL of a server that accepts connections and reads nothing.
func stuck(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String()
}

// A server that stops reading, or a service that returns no credentials, does not keep
// an attempt from ending.
func TestUploadStuck(t *testing.T) {
	server := stuck(t)
	for name, senderOf := range map[string]func(t *testing.T) Sender{
		"URL": func(*testing.T) Sender { return put(server + "/{name}") },
		"bucket": func(t *testing.T) Sender {
			t.Setenv("AWS_ACCESS_KEY_ID", keyID)
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
			return bucketOf(t, "s3://cores")
		},
		"credentials": func(t *testing.T) Sender {
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server)
			return bucketOf(t, "s3://cores")
		},
	} {
		t.Run(name, func(t *testing.T) {
			platformOf(t, server)
			c := courierOf(t, senderOf(t))
			c.Attempt = 10 * time.Millisecond
			path, err := c.Spool("a.core", 0, func(w io.Writer) error {
				_, err := w.Write(make([]byte, 16<<20)) // more than sockets buffer
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan struct{})
			go func() {
				defer close(over)
				if again, err := c.sendFile(path); !again || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not finished within 10ms") {
					t.Errorf("again %v, %v", again, err)
				}
			}()
			select {
			case <-over:
			case <-time.After(await.Limit):
				t.Fatal("the attempt has no end")
			}
			if waiting := c.waiting(); len(waiting) != 1 {
				t.Errorf("%v waiting", waiting)
			}
		})
	}
}

// An older core that cannot be sent yet does not keep the others, nor Put, from being
// over.
func TestUploadOlder(t *testing.T) {
	for name, block := range map[string]func(t *testing.T, path string, fail *atomic.Bool) (mend func()){
		"server error": func(_ *testing.T, _ string, fail *atomic.Bool) func() {
			fail.Store(true)
			return func() { fail.Store(false) }
		},
		"another supervisor": func(t *testing.T, path string, _ *atomic.Bool) func() {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			return func() { f.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			var fail atomic.Bool
			var mu sync.Mutex
			sent := map[string]bool{}
			isSent := func(name string) bool {
				mu.Lock()
				defer mu.Unlock()
				return sent[name]
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if fail.Load() && r.URL.Path == "/a.1.core" {
					http.Error(w, "try later", http.StatusServiceUnavailable)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				sent[r.URL.Path] = true
			}))
			defer server.Close()
			before := courierOf(t, put(server.URL+"/{name}"))
			before.Close()
			var paths []string
			for _, name := range []string{"a.1.core", "a.2.core"} {
				path, err := before.Spool(name, 0, core().Write)
				if err != nil {
					t.Fatal(err)
				}
				paths = append(paths, path)
			}
			mend := block(t, paths[0], &fail)
			c := &Courier{Sender: before.Sender, Spool: before.Spool, Waiting: before.Waiting, Wait: before.Wait, Attempt: before.Attempt, Pauses: before.Pauses}
			c.Start(t.Context())
			defer c.Close()
			if where, err := c.Put(core()); err != nil || where != core().Name {
				t.Fatal(where, err)
			}
			select {
			case <-c.caughtUp:
			default:
				t.Error("Put did not wait for the older cores, or waited in vain")
			}
			if !isSent("/a.2.core") || isSent("/a.1.core") {
				t.Error("Put returned before the core that can be sent was, or sent the other one")
			}
			mend()
			await.True(t, "the other one is sent too", func() bool { return isSent("/a.1.core") && len(c.waiting()) == 0 })
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

// A server's response is one line, without terminal escapes, and without the
// signature in any form.
func TestResponse(t *testing.T) {
	request, err := url.Parse("https://u:passw0rd@example.com/a?X-Sig=ab%2Fcd%2B%26ef&X-Amz-Credential=AKIAXYZ%2F2026&n=1")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"plain": "plain",
		"<Error>\r\n  <Code>SignatureDoesNotMatch</Code>\n<SignatureProvided>ab/cd+&amp;ef</SignatureProvided></Error>\n": "<Error> <Code>SignatureDoesNotMatch</Code> <SignatureProvided>…</SignatureProvided></Error>",
		"ab%2Fcd%2B%26ef AKIAXYZ/2026 passw0rd":                      "… … …",
		"?X-Sig=ab%2Fcd%2B%26ef&X-Amz-Credential=AKIAXYZ%2F2026&n=1": "?…",
		"\x1b[2J\u009b\u202e\xff":                                    `\x1b[2J\u009b\u202e`,
	} {
		if got := responseLine(text, request); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := responseLine(strings.Repeat("é", 1000), request); len(got) > maxLine+10 || !strings.HasSuffix(got, "é …") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
