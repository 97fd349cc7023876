//go:build linux

package deliver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

func upload(t *testing.T, url string) *Upload {
	s, err := store.Open(filepath.Join(t.TempDir(), "spool"), store.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return &Upload{URL: url, Client: http.DefaultClient, Spool: s.Write, Waiting: s.Dir(),
		Pauses: []time.Duration{time.Millisecond, time.Millisecond}}
}

func TestUpload(t *testing.T) {
	b := newBucket(t)
	u := upload(t, b.URL+"/cores/{name}?signature=s3cret")
	b.fail = []int{500, 429}
	if err := u.Put(t.Context(), core()); err != nil {
		t.Fatal(err)
	}
	if b.objects["/cores/"+core().Name] != content || b.tries != 3 || len(u.waiting()) != 0 {
		t.Errorf("%d objects after %d tries, %v waiting", len(b.objects), b.tries, u.waiting())
	}
	// Three failures are too many: it waits, and is sent with the next one.
	b.fail = []int{503, 503, 503}
	b.objects = map[string]string{}
	err := u.Put(t.Context(), core())
	if err == nil || !strings.Contains(err.Error(), "503") || len(u.waiting()) != 1 {
		t.Fatalf("%v, %v waiting", err, u.waiting())
	}
	next := core()
	next.Name = strings.Replace(next.Name, "a.1.", "b.2.", 1)
	if err := u.Put(t.Context(), next); err != nil || len(b.objects) != 2 || len(u.waiting()) != 0 {
		t.Errorf("%v, %d objects, %v waiting", err, len(b.objects), u.waiting())
	}
}

// After the end of the program no attempt begins.
func TestUploadEnding(t *testing.T) {
	b := newBucket(t)
	u := upload(t, b.URL+"/cores/{name}?signature=s3cret")
	u.Pauses = []time.Duration{time.Hour}
	ending := make(chan struct{})
	close(ending)
	u.Ending = ending
	b.fail = []int{503}
	if err := u.Put(t.Context(), core()); err == nil || b.tries != 1 || len(u.waiting()) != 1 {
		t.Errorf("%v, %d tries, %v waiting", err, b.tries, u.waiting())
	}
	if u.Flush(t.Context()) != 0 || len(b.objects) != 1 {
		t.Errorf("the next start did not send it: %d objects", len(b.objects))
	}
}

// The URL is secret, whatever goes wrong; and a permanent failure is not
// retried.
func TestUploadRefused(t *testing.T) {
	b := newBucket(t)
	for _, url := range []string{b.URL + "/x?signature=wr0ng", "http://127.0.0.1:1/x?signature=wr0ng", "::wr0ng"} {
		u := upload(t, url)
		b.tries = 0
		err := u.Put(t.Context(), core())
		if err == nil || strings.Contains(err.Error(), "wr0ng") || len(u.waiting()) != 1 {
			t.Errorf("%v, %v waiting", err, u.waiting())
		}
		if b.tries > 1 {
			t.Errorf("%d tries", b.tries)
		}
	}
}

// Two supervisors send the cores that wait in one directory: a core that the
// other one has sent counts as delivered.
func TestUploadTwice(t *testing.T) {
	b := newBucket(t)
	u := upload(t, b.URL+"/{name}?signature=s3cret")
	other := *u
	u.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if left := other.Flush(t.Context()); left != 0 {
			t.Errorf("the other left %d", left)
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	if err := u.Put(t.Context(), core()); err != nil || b.objects["/"+core().Name] != content {
		t.Errorf("%v, %d objects", err, len(b.objects))
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
