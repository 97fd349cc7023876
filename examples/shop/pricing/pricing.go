// Package pricing knows what things cost.
package pricing

// Money is an amount in a currency.
type Money struct {
	Cents    int64
	Currency [3]byte
}

// A discount is given from a quantity on.
type discount struct {
	From    int16
	Percent float32
}

//meminspect:entry
var taxRate float32 = 0.19

//meminspect:entry name=Revenue
var revenue = Money{Currency: [3]byte{'E', 'U', 'R'}}

//meminspect:entry
var discounts = [3]discount{{3, 2.5}, {5, 4}, {8, 7.5}}

// Price returns what quantity of sku costs, tax included, and counts it as
// revenue.
func Price(sku uint32, quantity int16) int64 {
	net := float32(99+sku*7) * float32(quantity)
	for i := len(discounts) - 1; i >= 0; i-- {
		if quantity >= discounts[i].From {
			net *= 1 - discounts[i].Percent/100
			break
		}
	}
	cents := int64(net * (1 + taxRate))
	revenue.Cents += cents
	return cents
}

// Variables lists what is annotated here.
func Variables() map[string]any {
	return map[string]any{
		"taxRate":   &taxRate,
		"revenue":   &revenue,
		"discounts": &discounts,
	}
}
