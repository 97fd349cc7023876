// Package page writes cores as one HTML file that needs no network: what the report,
// the goroutines, the waits, the values, the log and the comparison show, for a browser.
//
// The file has the data as compressed JSON, which the script of the page unpacks and
// renders. No byte of a core is ever part of the file's markup, style or script.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the bundle
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/meminspect/meminspect/internal/inspect"
)

// The bundle of web/, which has the sources.
//
//go:generate go -C web run ./bundle
var (
	//go:embed app.js
	script string
	//go:embed app.css
	style string
)

// Write writes the page of the programs of one or more cores. Each is compared with the
// one that follows.
func Write(w io.Writer, programs ...*inspect.Program) error {
	data, err := json.Marshal(documentOf(programs))
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	packed, err := pack(visible(data))
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	_, err = io.WriteString(w, head()+packed+tail())
	return err
}

// visible returns JSON in which characters that would change the order or the look of other
// text are replaced by their escapes, which then show as text. They are only in strings.
func visible(data []byte) []byte {
	if !bytes.ContainsFunc(data, hidden) {
		return data
	}
	out := make([]byte, 0, len(data)+len(data)/16)
	for _, r := range string(data) {
		if hidden(r) {
			out = fmt.Appendf(out, `\\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

func hidden(r rune) bool {
	return r >= utf8.RuneSelf && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}

// pack compresses data and encodes it in base64, which has no character of markup.
func pack(data []byte) (string, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(data); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// Prefix begins each page.
const Prefix = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "

// policy allows the page its own script and style, and no request at all.
func policy() string {
	return "base-uri 'none'; form-action 'none'; script-src '" + digest(script) + "'; style-src '" + digest(style) + "'"
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func head() string {
	return Prefix + policy() + `">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>meminspect</title>
<style>` + style + `</style>
</head>
<body>
<div id="app"><main><h1>meminspect</h1><p>This page needs a browser with JavaScript and DecompressionStream.</p></main></div>
<script type="application/octet-stream" id="data">`
}

func tail() string {
	return "</script>\n<script>" + script + "</script>\n</body>\n</html>\n"
}
