package suggest

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/vetoutput"
)

// Write inserts the annotations of the result into the source, and returns the
// names of the files that it changed. It does not insert registrations. It sets
// Written of what it inserted, and NotWritten of what it could not insert.
func (r *Result) Write() ([]string, error) {
	w := &writer{program: r.program, texts: map[string][]byte{}, entries: map[token.Pos]bool{}}
	for _, p := range r.Proposals {
		if p.at != nil {
			w.entries[p.at.object.Pos()] = true
		}
	}
	for _, p := range r.Proposals {
		if p.Action == Entry && !p.Done {
			p.Written, p.NotWritten = w.insert(p.at, annotate.Entry)
		}
	}
	for _, e := range r.Exclusions {
		e.Written, e.NotWritten = w.insert(e.at, annotate.Exclude)
	}
	done, err := vetoutput.Apply(w.findings)
	if err != nil {
		return nil, fmt.Errorf("write annotations: %w", err)
	}
	return done.Files, nil
}

// NotWritten returns the number of lines that Write could not insert.
func (r *Result) NotWritten() int {
	n := 0
	for _, p := range r.Proposals {
		if p.NotWritten != "" {
			n++
		}
	}
	for _, e := range r.Exclusions {
		if e.NotWritten != "" {
			n++
		}
	}
	return n
}

// A writer collects the lines to insert.
type writer struct {
	program  *program
	texts    map[string][]byte  // of the files, by name
	entries  map[token.Pos]bool // the names of proposed entries
	findings []vetoutput.Finding
}

// insert adds the line of a directive above a declaration. why has the reason if
// it cannot.
func (w *writer) insert(d *declaration, kind annotate.Kind) (ok bool, why string) {
	edit, err := w.edit(d, kind)
	if err != nil {
		return false, err.Error()
	}
	w.findings = append(w.findings, vetoutput.Finding{Fixes: []vetoutput.Fix{{Edits: []vetoutput.Edit{edit}}}})
	return true, ""
}

func (w *writer) edit(d *declaration, kind annotate.Kind) (vetoutput.Edit, error) {
	file := w.program.fset.File(d.start)
	for _, id := range d.names {
		if kind == annotate.Entry && id.Name != "_" && !w.entries[id.Pos()] {
			return vetoutput.Edit{}, fmt.Errorf("%s is declared in the same line: declare them separately", id.Name)
		}
	}
	text, err := w.text(file)
	if err != nil {
		return vetoutput.Edit{}, err
	}
	start, at := file.Offset(file.LineStart(file.Line(d.start))), file.Offset(d.start)
	indent := string(text[start:at])
	if strings.TrimLeft(indent, " \t") != "" {
		return vetoutput.Edit{}, errors.New("the declaration does not begin its line")
	}
	edit := vetoutput.Edit{Filename: file.Name(), Start: start, End: start, New: indent + annotate.Prefix + kind.String() + "\n"}
	return edit, check(text, edit, d, kind)
}

// text returns the text of a file, which must be the one that was loaded.
func (w *writer) text(file *token.File) ([]byte, error) {
	if text, ok := w.texts[file.Name()]; ok {
		return text, nil
	}
	text, err := os.ReadFile(file.Name())
	if err == nil && len(text) != file.Size() {
		err = fmt.Errorf("%s changed while it was examined", file.Name())
	}
	if err == nil {
		w.texts[file.Name()] = text
	}
	return text, err
}

// check reports an error unless the directive applies to the declaration in the
// edited text.
func check(text []byte, edit vetoutput.Edit, d *declaration, kind annotate.Kind) error {
	edited := slices.Concat(text[:edit.Start], []byte(edit.New), text[edit.End:])
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, edit.Filename, edited, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, a := range annotate.Collect(fset, syntax).Annotations {
		if a.Kind == kind && a.Target.String() == d.name {
			return nil
		}
	}
	return fmt.Errorf("a line above the declaration would not apply to %s", d.name)
}
