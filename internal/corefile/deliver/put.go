//go:build linux

package deliver

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Put sends cores to a URL: a plain PUT with a length, which a presigned URL of
// any object store accepts. "{name}" in the URL is replaced by the core's file
// name. The URL is a secret and is in no message.
type Put struct {
	URL    string
	Client *http.Client
}

// Send implements [Sender].
func (p *Put) Send(ctx context.Context, core *os.File, name string, size int64) (again bool, err error) {
	target := strings.ReplaceAll(p.URL, "{name}", url.PathEscape(name))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, io.NopCloser(core)) // the caller closes it
	if err != nil {
		return false, errors.New("upload: that is not a URL")
	}
	req.ContentLength = size // object stores take no chunks
	resp, err := p.Client.Do(req)
	if err != nil {
		return true, fmt.Errorf("upload to %s: %w", req.URL.Host, withoutURL(err))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return mayPass(resp.StatusCode), fmt.Errorf("upload to %s: %d %s: %s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode), responseLine(string(text), req.URL))
}

// OneObject reports whether all cores get the same URL, and so overwrite each other.
func (p *Put) OneObject() bool { return !strings.Contains(p.URL, "{name}") }

// Where returns the name of a core: the URL is a secret.
func (p *Put) Where(name string) string { return name }

// withoutURL returns an error of a request without the URL that it names.
func withoutURL(err error) error {
	var uerr *url.Error
	if errors.As(err, &uerr) {
		return uerr.Err
	}
	return err
}

// mayPass reports whether a request that was answered with this status may succeed
// later.
func mayPass(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
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
	return plainLine(text)
}

func isReplacement(r rune) bool { return r == utf8.RuneError }

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
