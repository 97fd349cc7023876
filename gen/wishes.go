package gen

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/ledger"
)

// applyWishes applies the requested renames and retirements of IDs, each in the
// one folder that it matches. A request that matches no folder, or several, is
// an error: then nothing is written.
func applyWishes(cfg *Config, plans []*plan) error {
	for _, wish := range cfg.Renames {
		p, row, err := findLost(plans, "--rename", wish.Old)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(p.fresh, func(n *named) bool {
			return p.namespace(n.unit) == row.Namespace && p.means(wish.New, row.Namespace, n.ID())
		})
		if i < 0 {
			return fmt.Errorf("--rename %s=%s: %s has no annotation called %s without an ID", wish.Old, wish.New, p.packageOf(row.Namespace), wish.New)
		}
		if err := p.ids.Rename(row, p.fresh[i].ID()); err != nil {
			return fmt.Errorf("--rename %s=%s: %w", wish.Old, wish.New, err)
		}
		p.fresh = slices.Delete(p.fresh, i, i+1)
		p.settle(row)
	}
	for _, wish := range cfg.Retire {
		p, row, err := findLost(plans, "--retire", wish)
		if err != nil {
			return err
		}
		p.ids.Retire(row)
		p.settle(row)
	}
	return nil
}

// settle removes a row from the lost ones.
func (p *plan) settle(row *ledger.Row) {
	p.lost = slices.DeleteFunc(p.lost, func(r *ledger.Row) bool { return r == row })
}

// means reports whether a request refers to a name of one of the folder's
// packages. The package's import path, or the last element of it, may precede
// the name.
func (p *plan) means(wish, namespace, name string) bool {
	pkg := p.packageOf(namespace)
	return wish == name || wish == path.Base(pkg)+"."+name || wish == pkg+"."+name
}

// packageOf returns the import path of the package whose IDs are hashed with
// the namespace: the folder's, or that of its external tests.
func (p *plan) packageOf(namespace string) string {
	if namespace == p.namespace(externalUnit) {
		return p.pkg.folder.ImportPath + ledger.TestSuffix
	}
	return p.pkg.folder.ImportPath
}

// findLost finds the lost ID that a request refers to.
func findLost(plans []*plan, flag, wish string) (*plan, *ledger.Row, error) {
	var found []*plan
	var rows []*ledger.Row
	var live *plan
	for _, p := range plans {
		for _, row := range p.ids.Rows {
			if !p.means(wish, row.Namespace, row.Name) {
				continue
			}
			if slices.Contains(p.lost, row) {
				found, rows = append(found, p), append(rows, row)
			} else if row.State != ledger.Gone {
				live = p
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], rows[0], nil
	case len(found) > 1:
		var names []string
		for i, p := range found {
			names = append(names, p.packageOf(rows[i].Namespace)+"."+rows[i].Name)
		}
		return nil, nil, fmt.Errorf("%s %s: more than one package has that name: use one of %s", flag, wish, strings.Join(names, ", "))
	case live != nil:
		return nil, nil, fmt.Errorf("%s %s: %s still has that annotation: change the source first", flag, wish, live.pkg.folder.ImportPath)
	}
	return nil, nil, fmt.Errorf("%s %s: no ledger of these packages has a lost ID of that name", flag, wish)
}
