package diff

import (
	"go/constant"
	"go/token"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/inspect/value"
)

// Difference returns by how much a number changed, and how much that is a second. delta is
// empty for what is no number, and rate if the elapsed time is not known.
func (c *Change) Difference(elapsed time.Duration) (delta, rate string) {
	if c.Kind != Changed || c.Before.Shape != value.Literal || c.After.Shape != value.Literal {
		return "", ""
	}
	before, after := value.Number(c.Before.Text), value.Number(c.After.Text)
	if before == nil || after == nil {
		return "", ""
	}
	by := constant.BinaryOp(after, token.SUB, before)
	number, _ := constant.Float64Val(by)
	if delta = strconv.FormatFloat(number, 'g', -1, 64); by.Kind() == constant.Int {
		delta = by.ExactString()
	}
	if elapsed > 0 {
		rate = strconv.FormatFloat(number/elapsed.Seconds(), 'g', 3, 64)
	}
	return delta, rate
}

// DifferenceText writes a difference, as in "+3, 0.5/s". It is empty without delta.
func DifferenceText(delta, rate string) string {
	text := delta
	if delta != "" && !strings.HasPrefix(delta, "-") {
		text = "+" + delta
	}
	if delta != "" && rate != "" {
		text += ", " + rate + "/s"
	}
	return text
}
