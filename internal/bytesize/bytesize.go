// Package bytesize is the one notation for numbers of bytes: in annotations, in
// lists of variables, in flags and in messages.
//
//	65536  64KiB  64k  1.5GiB  2T
//
// A size is a decimal number and a unit: B, KiB, MiB, GiB or TiB, or K, M, G or T
// for the same powers of 1024, in upper or lower case. KB, MB and the like are
// refused, because some tools mean powers of 1000 by them.
package bytesize

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// Max is the largest size, so that each one fits into an int64.
const Max = math.MaxInt64

// units are from large to small.
var units = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}

// syntax is of a size: a number and a unit. It bounds both.
var syntax = lazyexp.New(`^([0-9]{1,30}(?:\.[0-9]{1,30})?)([A-Za-z]{0,8})$`)

// Parse returns the number of bytes that text denotes.
func Parse(text string) (uint64, error) {
	parts := syntax().FindStringSubmatch(text)
	if parts == nil {
		return 0, errors.New("not a size: use bytes, or a number with KiB, MiB, GiB or TiB, as in 4096, 64KiB or 1.5GiB")
	}
	shift, err := shiftOf(parts[2])
	if err != nil {
		return 0, err
	}
	size, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		panic("bytesize: syntax allows " + parts[1])
	}
	size.Mul(size, new(big.Rat).SetUint64(1<<shift))
	switch {
	case !size.IsInt():
		return 0, errors.New("not a whole number of bytes")
	case !size.Num().IsInt64():
		return 0, errors.New("too large: the maximum is 8 EiB - 1")
	}
	return size.Num().Uint64(), nil
}

// shiftOf returns the power of 2 that a unit denotes.
func shiftOf(unit string) (uint, error) {
	if unit == "" || strings.EqualFold(unit, "B") {
		return 0, nil
	}
	for _, u := range units {
		if strings.EqualFold(unit, u.name) || strings.EqualFold(unit, u.name[:1]) {
			return u.shift, nil
		}
		if strings.EqualFold(unit, u.name[:1]+"B") {
			return 0, fmt.Errorf("unit %s is ambiguous: use %s", unit, u.name)
		}
	}
	return 0, fmt.Errorf("unknown unit %s: use B, KiB, MiB, GiB or TiB", unit)
}

// Format returns n in the largest unit in which it is a whole number. [Parse]
// returns n for it.
func Format(n uint64) string {
	for _, u := range units {
		if n > 0 && n%(1<<u.shift) == 0 {
			return strconv.FormatUint(n>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatUint(n, 10)
}

// Short returns n for people: rounded to at most three digits, in the largest unit
// in which it is 1 or more, as "18.2 KiB".
func Short(n uint64) string {
	for _, u := range units {
		if n < 1<<u.shift {
			continue
		}
		whole := float64(n) / float64(uint64(1)<<u.shift)
		digits := 1
		if whole >= 99.95 {
			digits = 0
		}
		return strconv.FormatFloat(whole, 'f', digits, 64) + " " + u.name
	}
	return strconv.FormatUint(n, 10) + " B"
}

// A Value is a size as a command-line flag.
type Value int64

// String returns the size as [Format] does.
func (v *Value) String() string { return Format(uint64(*v)) }

// Set parses the argument of the flag.
func (v *Value) Set(text string) error {
	n, err := Parse(text)
	if err != nil {
		return err
	}
	*v = Value(n)
	return nil
}

// Type is the placeholder in help texts.
func (*Value) Type() string { return "size" }
