// Command terminal has values, a log and a panic with what must not reach a
// terminal: control characters and bidirectional overrides.
package main

import (
	"log/slog"

	_ "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/logring"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

const (
	red   = "\x1b[31mred\x1b[0m"
	c1    = "\u009b31m"
	bidi  = "\u202egnp.exe"
	title = "\x1b]0;pwned\a"
)

var (
	name  = "a" + red + bidi + c1
	bin   = []byte("\xff\xfe\x00\x9b")
	table = map[string]string{red: c1, bidi: title}
)

var entries = meminspectimpl.Table{
	Magic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion, Package: "main",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "name" + red, Expr: "name", Var: &name, Pos: "main.go" + title + ":1", Note: c1},
		{ID: 1<<63 | 2, Name: "bin", Expr: "bin", Var: &bin},
		{ID: 1<<63 | 3, Name: "table" + bidi, Var: &table},
	},
}

func init() { meminspectimpl.Link(&entries) }

func main() {
	ring := logring.New(1 << 16)
	slog.SetDefault(slog.New(ring.Handler(nil)))
	slog.Info("hello "+red, bidi, c1, "n", 1)
	panic("boom " + red + title + bidi + c1)
}
