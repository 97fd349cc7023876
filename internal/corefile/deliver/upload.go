//go:build linux

package deliver

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// An Upload sends cores to a URL: a plain PUT with a length, which a presigned
// URL of any object store accepts. "{name}" in the URL is replaced by the
// core's file name. The URL is a secret and is in no message.
type Upload struct {
	URL    string
	Client *http.Client

	// Spool stores a core until it is delivered, and returns its path; Waiting is
	// the folder that it stores in. A core that cannot be delivered stays there
	// and is sent with the next one.
	Spool   func(name string, size int64, write func(io.Writer) error) (path string, err error)
	Waiting string

	// Pauses are the times between attempts.
	Pauses []time.Duration

	// Ending, if not nil, is closed when no more attempts may begin: the restart
	// of a dead program waits for them.
	Ending <-chan struct{}
}

// DefaultPauses make an upload fail after half a minute.
func DefaultPauses() []time.Duration {
	return []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second}
}

// Put spools a core and sends it, together with earlier ones that could not be
// sent.
func (u *Upload) Put(ctx context.Context, c Core) error {
	path, err := u.Spool(c.Name, c.Size, c.Write)
	if err != nil {
		return fmt.Errorf("spooling: %w", err)
	}
	if err := u.send(ctx, path, u.Pauses); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("upload: %s no longer exists: another supervisor has sent it, or it was removed to make room", path)
	} else if err != nil {
		return fmt.Errorf("%w; the core waits in %s", err, path)
	}
	u.Flush(ctx)
	return nil
}

// Flush sends the waiting cores, one attempt each, and returns how many remain.
func (u *Upload) Flush(ctx context.Context) (left int) {
	// Several cores cannot share one presigned URL without {name}: it names one
	// object.
	if !strings.Contains(u.URL, "{name}") {
		return len(u.waiting())
	}
	for _, path := range u.waiting() {
		if u.send(ctx, path, nil) != nil {
			left++
		}
	}
	return left
}

func (u *Upload) waiting() []string {
	paths, err := filepath.Glob(filepath.Join(u.Waiting, "*.core*"))
	if err != nil {
		return nil
	}
	return paths
}

func (u *Upload) send(ctx context.Context, path string, pauses []time.Duration) error {
	for {
		again, err := u.attempt(ctx, path)
		if err == nil {
			// Another process may have sent it at the same time.
			if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			return err
		}
		if !again || len(pauses) == 0 {
			return err
		}
		select {
		case <-time.After(pauses[0]):
			pauses = pauses[1:]
		case <-u.Ending:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// attempt sends a file once and reports whether another attempt might succeed.
func (u *Upload) attempt(ctx context.Context, path string) (again bool, err error) {
	f, err := plainfile.Open(path) // others may write to the folder
	if err != nil {
		return false, fmt.Errorf("upload: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("upload: %w", err)
	}
	target := strings.ReplaceAll(u.URL, "{name}", url.PathEscape(filepath.Base(path)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, f)
	if err != nil {
		return false, errors.New("upload: that is not a URL")
	}
	req.ContentLength = info.Size() // object stores take no chunks
	resp, err := u.Client.Do(req)
	if err != nil {
		var uerr *url.Error
		if errors.As(err, &uerr) {
			err = uerr.Err // without the URL
		}
		return true, fmt.Errorf("upload to %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	return again, fmt.Errorf("upload to %s: %d %s: %s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode), responseLine(string(text), req.URL))
}

// Bounds of a server's response to a failed upload, in bytes.
const (
	maxResponse = 64 << 10 // read
	maxLine     = 300      // reported
)

// responseLine returns a server's response as one escaped line without the
// secrets of the request: servers repeat a signature that they reject.
func responseLine(text string, request *url.URL) string {
	for _, secret := range secrets(request) {
		text = strings.ReplaceAll(text, secret, "…")
	}
	line := strings.Join(strings.Fields(strings.ToValidUTF8(text, " ")), " ")
	cut := strings.TrimFunc(line[:min(len(line), maxLine)], func(r rune) bool { return r == utf8.RuneError })
	if len(cut) < len(line) {
		cut += " …"
	}
	quoted := strconv.Quote(cut)
	return quoted[1 : len(quoted)-1]
}

// secrets returns the values in a URL that may be secret, as they are and in the
// forms in which XML, HTML, JSON and URLs quote them, the longest first.
func secrets(u *url.URL) []string {
	values := []string{u.RawQuery}
	if password, ok := u.User.Password(); ok {
		values = append(values, password)
	}
	for _, pair := range strings.Split(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		values = append(values, value)
	}
	var all []string
	for _, value := range values {
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		for _, v := range []string{value, plain, url.QueryEscape(plain), url.PathEscape(plain), html.EscapeString(value), html.EscapeString(plain)} {
			if len(v) >= minSecret {
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// minSecret is shorter than any signature; shorter values are counts and names.
const minSecret = 6
