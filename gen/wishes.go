package gen

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/gen/ledger"
)

// applyWishes does what --rename and --retire say, each in the one folder that
// it fits. A wish that fits nothing, or several folders, is an error: nothing
// is written then.
func applyWishes(cfg *Config, plans []*plan) error {
	for _, wish := range cfg.Renames {
		p, row, err := findLost(plans, "--rename", wish.Old)
		if err != nil {
			return err
		}
		_, name := splitName(p, wish.New)
		i := slices.IndexFunc(p.fresh, func(n *named) bool { return n.ID() == name && p.namespace(n.unit) == row.Namespace })
		if i < 0 {
			return fmt.Errorf("--rename %s=%s: %s has no annotation called %s without an ID", wish.Old, wish.New, p.pkg.folder.importPath, name)
		}
		if err := p.ids.Rename(row, name); err != nil {
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

// settle takes a row from the lost ones.
func (p *plan) settle(row *ledger.Row) {
	p.lost = slices.DeleteFunc(p.lost, func(r *ledger.Row) bool { return r == row })
}

// splitName takes the folder's import path off a name.
func splitName(p *plan, wish string) (fits bool, name string) {
	for _, prefix := range []string{p.pkg.folder.importPath, path.Base(p.pkg.folder.importPath)} {
		if rest, ok := strings.CutPrefix(wish, prefix+"."); ok {
			return true, rest
		}
	}
	return !strings.Contains(wish, "/"), wish
}

// findLost finds the lost ID that a wish means.
func findLost(plans []*plan, flag, wish string) (*plan, *ledger.Row, error) {
	var found []*plan
	var rows []*ledger.Row
	var live *plan
	for _, p := range plans {
		fits, name := splitName(p, wish)
		if !fits {
			continue
		}
		for _, row := range p.ids.Rows {
			if row.Name != name && row.Name != wish {
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
			names = append(names, p.pkg.folder.importPath+"."+rows[i].Name)
		}
		return nil, nil, fmt.Errorf("%s %s: which one: %s?", flag, wish, strings.Join(names, ", "))
	case live != nil:
		return nil, nil, fmt.Errorf("%s %s: %s still has that annotation: change the source first", flag, wish, live.pkg.folder.importPath)
	}
	return nil, nil, fmt.Errorf("%s %s: no ledger of these packages has a lost ID of that name", flag, wish)
}
