package gen

import (
	"context"
	"errors"
	"go/token"
	"os"
	"path/filepath"

	"github.com/meminspect/meminspect/gen/ledger"
)

// A LedgerFile is a ledger with its place.
type LedgerFile struct {
	Path       string // absolute, or relative to a repository
	ImportPath string // of its folder now
	Ledger     *ledger.Ledger
}

// Ledgers reads the ledgers of the packages that cfg names, in the order of
// their folders. Lines that are wrong are findings.
func Ledgers(ctx context.Context, cfg Config) ([]LedgerFile, []Finding, error) {
	folders, o, err := load(ctx, &cfg)
	if err != nil {
		return nil, nil, err
	}
	var list []LedgerFile
	var findings []Finding
	for _, f := range folders {
		if !f.ledger {
			continue
		}
		path := filepath.Join(f.dir, ledger.FileName)
		data, err := o.read(path, nil)
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
		list = append(list, LedgerFile{Path: path, ImportPath: f.importPath, Ledger: ids})
	}
	return list, findings, nil
}

// ledgerFindings lists each line of a ledger that is wrong.
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
