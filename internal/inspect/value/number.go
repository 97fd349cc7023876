package value

import (
	"go/constant"
	"go/token"
	"strings"
)

// Number returns the number that a literal is, nil if it is not a number.
func Number(text string) constant.Value {
	digits, negative := strings.CutPrefix(text, "-")
	for _, kind := range []token.Token{token.INT, token.FLOAT} {
		if c := constant.MakeFromLiteral(digits, kind, 0); c.Kind() != constant.Unknown {
			if negative {
				c = constant.UnaryOp(token.SUB, c, 0)
			}
			return c
		}
	}
	return nil
}
