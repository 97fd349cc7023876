package gen

import (
	"context"
	"errors"
	"go/token"
	"os"
	"path/filepath"

	"github.com/meminspect/meminspect/internal/ledger"
)

// An ID is one ID of a package's ledger.
type ID struct {
	Value     uint64
	Name      string // the annotation that has the ID, or the last one that had it
	State     string // "entry" (a variable), "id" (registered at run time) or "gone" (retired)
	Was       string // the original name, if the ID was renamed
	Type      string // of an entry, as far as the syntax shows it
	Package   string // import path
	Namespace string // namespace that the ID is hashed with
	File      string // the ledger, absolute
	Line      int    // in File
}

// IDs returns the IDs in the ledgers of the packages that cfg selects, by
// folder and in file order. It reports malformed lines as findings.
func IDs(ctx context.Context, cfg Config) ([]ID, []Finding, error) {
	found, o, err := load(ctx, &cfg)
	if err != nil {
		return nil, nil, err
	}
	var list []ID
	var findings []Finding
	for _, f := range found {
		if !f.Ledger {
			continue
		}
		path := filepath.Join(f.Dir, ledger.FileName)
		data, err := o.Read(path, nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		ids, err := ledger.Parse(data)
		if err != nil {
			findings = append(findings, ledgerFindings(path, err)...)
			continue
		}
		for _, row := range ids.Rows {
			list = append(list, ID{
				Value: row.ID, Name: row.Name, State: string(row.State), Was: row.Was, Type: row.Type,
				Package: f.ImportPath, Namespace: row.Namespace, File: path, Line: row.Line,
			})
		}
	}
	return list, findings, nil
}

// ledgerFindings returns a finding for each malformed line of a ledger.
func ledgerFindings(path string, err error) []Finding {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var findings []Finding
	for _, err := range list {
		f := Finding{Pos: token.Position{Filename: path}, Code: "ledger", Message: err.Error()}
		var line *ledger.LineError
		if errors.As(err, &line) {
			f.Pos.Line, f.Message = line.Line, line.Err.Error()
		}
		findings = append(findings, f)
	}
	return findings
}
