package page_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/inspect"
	"github.com/meminspect/meminspect/inspect/page"
	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/coreimage"
)

const markup = `</script><script>alert(1)</script>`

type settings struct{ Limit, Text string }

var kept = settings{"ten", markup}

// data is the JSON of a page, between markup that is the same for every core.
var data = regexp.MustCompile(`(?s)<script type="application/octet-stream" id="data">([A-Za-z0-9+/=]*)</script>`)

// The page has the core's values in its data, and no byte of them in its markup.
func TestWrite(t *testing.T) {
	id, err := meminspect.Register(meminspect.IDDynamic, &kept, meminspect.Name(markup))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { meminspect.Unregister(id) })
	path := filepath.Join(t.TempDir(), "a.core")
	if err := coreimage.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	var one, two bytes.Buffer
	if err := page.Write(&one, core); err != nil {
		t.Fatal(err)
	}
	if err := page.Write(&two, core, core); err != nil {
		t.Fatal(err)
	}
	if a, b := data.ReplaceAllString(one.String(), ""), data.ReplaceAllString(two.String(), ""); a != b {
		t.Error("the markup depends on the cores")
	}
	if strings.Contains(one.String(), "alert(1)") {
		t.Error("text of the core is in the clear")
	}
	if i := strings.IndexFunc(one.String(), func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c > '~' }); i >= 0 {
		t.Errorf("byte %d is not printable ASCII: %.60q", i, one.String()[i:])
	}
	text := unpacked(t, one.String())
	var doc struct {
		Cores []struct {
			Regions []struct {
				Name  string
				Value struct {
					C []struct{ N, V string }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cores) != 1 || len(doc.Cores[0].Regions) != 1 {
		t.Fatalf("the data is %s", text)
	}
	r := doc.Cores[0].Regions[0]
	if r.Name != markup || len(r.Value.C) != 2 || r.Value.C[0].N != ".Limit" || r.Value.C[0].V != `"ten"` {
		t.Errorf("the region is %+v", r)
	}
}

func unpacked(t *testing.T, html string) []byte {
	t.Helper()
	m := data.FindStringSubmatch(html)
	if m == nil {
		t.Fatalf("no data in %.3000s", html)
	}
	packed, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
