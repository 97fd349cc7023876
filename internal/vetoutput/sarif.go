package vetoutput

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

// A Rule documents one analyzer.
type Rule struct {
	Name    string
	Summary string
	Help    string // Markdown
	URL     string
}

// SARIF writes the findings in the Static Analysis Results Interchange Format,
// version 2.1.0 (OASIS). Places are relative to dir, the root of the source,
// where they are below it; columns count UTF-16 code units, which is what
// readers assume.
func SARIF(w io.Writer, dir string, rules []Rule, findings []Finding) error {
	run := sarifRun{ColumnKind: "utf16CodeUnits", Results: []sarifResult{}}
	run.Tool.Driver.Name = "meminspect"
	run.Tool.Driver.InformationURI = "https://github.com/meminspect/meminspect"
	run.OriginalURIBaseIDs = map[string]sarifArtifact{"SRCROOT": {URI: fileURI(dir) + "/"}}
	index := map[string]int{}
	for i, r := range rules {
		index[r.Name] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: r.Name, HelpURI: r.URL,
			ShortDescription: sarifText{Text: r.Summary},
			Help:             sarifText{Text: r.Help, Markdown: r.Help},
		})
	}
	sources := sourceLines{}
	for _, f := range findings {
		i, ok := index[f.Analyzer]
		if !ok {
			return fmt.Errorf("write SARIF: no rule for %s", f.Analyzer)
		}
		result, err := sarifOf(dir, sources, f)
		if err != nil {
			return err
		}
		result.RuleIndex = i
		run.Results = append(run.Results, result)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifOf(dir string, sources sourceLines, f Finding) (sarifResult, error) {
	file, line, column := f.Position()
	place := sarifPlace{Artifact: artifact(dir, file)}
	place.Region = sarifRegion{StartLine: line, StartColumn: sources.column(file, line, column)}
	if endFile, endLine, endColumn := splitPosition(f.End); endFile == file && (endLine > line || endColumn > column) {
		place.Region.EndLine, place.Region.EndColumn = endLine, sources.column(file, endLine, endColumn)
	}
	result := sarifResult{
		RuleID: f.Analyzer, Level: "warning", Message: sarifText{Text: f.Message},
		Locations: []sarifLocation{{Physical: place}},
	}
	for _, fix := range f.Fixes {
		changes := map[string]int{}
		out := sarifFix{Description: sarifText{Text: fix.Message}}
		for _, e := range fix.Edits {
			i, ok := changes[e.Filename]
			if !ok {
				i = len(out.Changes)
				changes[e.Filename] = i
				out.Changes = append(out.Changes, sarifChange{Artifact: artifact(dir, e.Filename)})
			}
			region, err := sources.region(e)
			if err != nil {
				return result, fmt.Errorf("write SARIF: %w", err)
			}
			out.Changes[i].Replacements = append(out.Changes[i].Replacements,
				sarifReplacement{Deleted: region, Inserted: &sarifText{Text: e.New}})
		}
		result.Fixes = append(result.Fixes, out)
	}
	return result, nil
}

// sourceLines keeps the lines of files, since columns are counted in them.
type sourceLines map[string][]string

func (s sourceLines) lines(file string) ([]string, error) {
	if lines, ok := s[file]; ok {
		return lines, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s[file] = strings.SplitAfter(string(text), "\n")
	return s[file], nil
}

// column turns a column in bytes into one in UTF-16 code units. What cannot be
// read keeps its column.
func (s sourceLines) column(file string, line, column int) int {
	lines, err := s.lines(file)
	if err != nil || line < 1 || line > len(lines) || column < 1 || column-1 > len(lines[line-1]) {
		return max(column, 1)
	}
	return len(utf16.Encode([]rune(lines[line-1][:column-1]))) + 1
}

// region returns the lines and columns of an edit.
func (s sourceLines) region(e Edit) (sarifRegion, error) {
	lines, err := s.lines(e.Filename)
	if err != nil {
		return sarifRegion{}, err
	}
	var r sarifRegion
	at := 0
	for i, text := range lines {
		if r.StartLine == 0 && e.Start <= at+len(text) && (e.Start < at+len(text) || i == len(lines)-1) {
			r.StartLine, r.StartColumn = i+1, s.column(e.Filename, i+1, e.Start-at+1)
		}
		if r.StartLine > 0 && e.End <= at+len(text) {
			r.EndLine, r.EndColumn = i+1, s.column(e.Filename, i+1, e.End-at+1)
			return r, nil
		}
		at += len(text)
	}
	return r, fmt.Errorf("an edit ends after the end of %s", e.Filename)
}

func artifact(dir, file string) sarifArtifact {
	if rel := relative(dir, file); !filepath.IsAbs(rel) {
		return sarifArtifact{URI: (&url.URL{Path: filepath.ToSlash(rel)}).EscapedPath(), BaseID: "SRCROOT"}
	}
	return sarifArtifact{URI: fileURI(file)}
}

func fileURI(file string) string {
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// The part of SARIF that is written here; names are the standard's.

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name           string      `json:"name"`
			InformationURI string      `json:"informationUri"`
			Rules          []sarifRule `json:"rules"`
		} `json:"driver"`
	} `json:"tool"`
	OriginalURIBaseIDs map[string]sarifArtifact `json:"originalUriBaseIds"`
	ColumnKind         string                   `json:"columnKind"`
	Results            []sarifResult            `json:"results"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
	Help             sarifText `json:"help"`
	HelpURI          string    `json:"helpUri"`
}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
	Fixes     []sarifFix      `json:"fixes,omitempty"`
}

type sarifLocation struct {
	Physical sarifPlace `json:"physicalLocation"`
}

type sarifPlace struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI    string `json:"uri"`
	BaseID string `json:"uriBaseId,omitempty"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	EndLine     int `json:"endLine,omitempty"`
	EndColumn   int `json:"endColumn,omitempty"`
}

type sarifFix struct {
	Description sarifText     `json:"description"`
	Changes     []sarifChange `json:"artifactChanges"`
}

type sarifChange struct {
	Artifact     sarifArtifact      `json:"artifactLocation"`
	Replacements []sarifReplacement `json:"replacements"`
}

type sarifReplacement struct {
	Deleted  sarifRegion `json:"deletedRegion"`
	Inserted *sarifText  `json:"insertedContent,omitempty"`
}
