package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/runtime/coreimage"
)

// A page of the server is for the user's own browser and tab: what lacks the token, names
// another host, or comes from another origin is refused.
func TestViewServerRefuses(t *testing.T) {
	s := viewServer{
		token: "token", host: "127.0.0.1:1234",
		list: func() ([]listJSON, error) {
			return []listJSON{{Core: "b.core", Program: "<script>b"}, {Core: "a.core", Program: "a"}}, nil
		},
		write: func(w io.Writer, cores []string) error {
			if cores[0] == "b.core" {
				return errors.New("\x1b damaged")
			}
			_, err := io.WriteString(w, "page of "+strings.Join(cores, " "))
			return err
		},
	}
	const good = "http://127.0.0.1:1234/token/"
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, test := range []struct {
		name, method, url string
		change            func(*http.Request)
		status            int
		text              string
	}{
		{"list", "GET", good, nil, 200, "view?core=a.core"},
		{"escaped", "GET", good, nil, 200, "&lt;script&gt;b"},
		{"filter", "GET", good + "?q=nothing", nil, 200, "No cores."},
		{"core", "GET", good + "view?core=a.core", nil, 200, "page of a.core"},
		{"compare", "GET", good + "view?core=b.core&core=a.core", nil, 200, "page of a.core b.core"},
		{"damaged", "GET", good + "view?core=b.core", nil, 500, "damaged"},
		{"own link", "GET", good, header("Sec-Fetch-Site", "same-origin"), 200, "Cores"},
		{"own origin", "GET", good, header("Origin", "http://127.0.0.1:1234"), 200, "Cores"},
		{"not in the list", "GET", good + "view?core=/etc/passwd", nil, 404, "select a core"},
		{"other page", "GET", good + "x", nil, 404, ""},
		{"no slash", "GET", strings.TrimSuffix(good, "/"), nil, 302, "/token/"},
		{"no token", "GET", "http://127.0.0.1:1234/", nil, 403, "use the URL"},
		{"other token", "GET", "http://127.0.0.1:1234/tokem/", nil, 403, "use the URL"},
		{"longer token", "GET", "http://127.0.0.1:1234/tokens/", nil, 403, "use the URL"},
		{"other host", "GET", "http://evil.example:1234/token/", nil, 403, "use the URL"},
		{"other origin", "GET", good, header("Origin", "http://evil.example"), 403, "use the URL"},
		{"file", "GET", good, header("Origin", "null"), 403, "use the URL"},
		{"other site", "GET", good, header("Sec-Fetch-Site", "cross-site"), 403, "use the URL"},
		{"link from elsewhere", "GET", good, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Dest", "document")
		}, 200, "Cores"},
		{"frame elsewhere", "GET", good, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Dest", "iframe")
		}, 403, "use the URL"},
		{"other port", "GET", good, header("Sec-Fetch-Site", "same-site"), 403, "use the URL"},
		{"post", "POST", good, nil, 405, "only GET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, test.url, http.NoBody)
			if test.change != nil {
				test.change(r)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != test.status || !strings.Contains(body, test.text) {
				t.Errorf("%d %.200q, not %d with %q", w.Code, body, test.status, test.text)
			}
			if strings.Contains(body, "<script>b") || strings.Contains(body, "\x1b") {
				t.Errorf("not escaped: %q", body)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("other origins may read it")
			}
		})
	}
}

// The command prints its URL, serves it, and ends when it is interrupted.
func TestViewServes(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.core")
	if err := coreimage.WriteFile(own); err != nil {
		t.Fatal(err)
	}
	for want, arg := range map[string]string{"No cores.": "--dir=" + t.TempDir(), `id="data"`: own} {
		ctx, interrupt := context.WithCancel(t.Context())
		out, stdout := io.Pipe()
		var stderr bytes.Buffer
		done := make(chan int, 1)
		go func() {
			done <- run(ctx, []string{"view", "--no-browser", arg}, strings.NewReader(""), stdout, &stderr)
			stdout.Close()
		}()
		url, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		if !strings.HasPrefix(url, "http://127.0.0.1:") {
			t.Errorf("it serves %s, which is not of the loopback interface", url)
		}
		for range 2 { // the page is the same when the browser loads it again
			if body := get(t, strings.TrimSpace(url)); !strings.Contains(body, want) {
				t.Errorf("%s: %s has %.300q", arg, url, body)
			}
		}
		interrupt()
		if status := <-done; status != exitDone {
			t.Errorf("%s: exit status %d: %s", arg, status, stderr.String())
		}
	}
}

// Other users see the arguments of commands: those of the browser's have no token.
func TestBrowserGetsNoToken(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the command that starts a browser has another name")
	}
	bin, seen := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	script := "#!/bin/sh\n(echo \"$@\"; stat -c %a \"$1\"; cat \"$1\") >" + seen + ".part && mv " + seen + ".part " + seen + "\n"
	if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	ctx, interrupt := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"view", "--dir=" + t.TempDir()}, strings.NewReader(""), stdout, io.Discard)
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	await.True(t, "the browser starts", func() bool { text, err = os.ReadFile(seen); return err == nil })
	lines := strings.SplitN(string(text), "\n", 3)
	url = strings.TrimSpace(url)
	if len(lines) < 3 || strings.Contains(lines[0], filepath.Base(url)) || lines[1] != "600" || !strings.Contains(lines[2], `url=`+url+`"`) {
		t.Errorf("the browser is started with %q, for %s", text, url)
	}
	interrupt()
	<-done
	await.True(t, lines[0]+" is removed", func() bool { _, err := os.Stat(lines[0]); return err != nil })
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
