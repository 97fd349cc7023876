package main

import (
	"bytes"
	"fmt"
	"html"
	"net/url"
	"time"

	"github.com/meminspect/meminspect/internal/bytesize"
)

// indexPage returns the page that lists cores. It is written without html/template:
// templates find methods by their names, so the linker would have to keep all methods
// of all types, a sixth of the executable.
func indexPage(cores []listJSON, query string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, indexHead, html.EscapeString(query))
	if len(cores) == 0 {
		b.WriteString("<p>No cores.</p>")
	} else {
		b.WriteString(tableHead)
		for _, c := range cores {
			fmt.Fprintf(&b, tableRow,
				html.EscapeString(c.Core), html.EscapeString(c.Selector),
				c.When.UTC().Format(time.DateTime),
				url.QueryEscape(c.Core), html.EscapeString(c.Program), c.PID,
				html.EscapeString(c.Reason),
				html.EscapeString(bytesize.Short(uint64(c.Bytes))),
				html.EscapeString(c.Message))
		}
		b.WriteString(tableEnd)
	}
	b.WriteString(indexEnd)
	return b.Bytes()
}

const (
	indexHead = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cores – meminspect</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 75rem; padding: 1rem }
table { border-collapse: collapse; width: 100%% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid; overflow-wrap: anywhere }
div { overflow-x: auto }
</style>
</head>
<body>
<main>
<h1>Cores</h1>
<form role="search"><label>Filter <input type="search" name="q" value="%s"></label> <button>Filter</button></form>
`
	tableHead = `<form action="view">
<div tabindex="0" role="region" aria-label="List of cores"><table>
<thead><tr><th scope="col">Select</th><th scope="col">Time (UTC)</th><th scope="col">Program</th><th scope="col">Reason</th><th scope="col">Size</th><th scope="col">Message</th></tr></thead>
<tbody>
`
	tableRow = `<tr><td><input type="checkbox" name="core" value="%s" aria-label="Select %s"></td><td>%s</td><td><a href="view?core=%s">%s %d</a></td><td>%s</td><td>%s</td><td>%s</td></tr>
`
	tableEnd = `</tbody></table></div>
<p><button>Compare the selected cores</button></p>
</form>`
	indexEnd = `
</main>
</body>
</html>
`
)
