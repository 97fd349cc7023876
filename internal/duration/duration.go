// Package duration is the one notation for durations: in flags, in messages and
// in JSON.
//
//	300ms  10s  1h30m  30d  1d12h
//
// It is Go's notation, with d for a day of 24 hours.
package duration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// maxDays is the most that fits into a time.Duration.
const maxDays = int64(1<<63-1) / int64(Day)

var errNot = errors.New("not a duration: use a number with a unit, as in 500ms, 10s, 1h30m or 30d")

// Parse returns the duration that text denotes. It is never negative.
func Parse(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	var days, rest time.Duration
	if number, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 63)
		if err != nil || number[0] == '+' {
			return 0, errNot
		}
		if int64(n) > maxDays {
			return 0, errors.New("too long: the maximum is 106751 days")
		}
		days, text = time.Duration(n)*Day, after
		if text == "" {
			return days, nil
		}
	}
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		return 0, errNot
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 {
		return 0, errNot
	}
	if days+rest < days {
		return 0, errors.New("too long: the maximum is 106751 days")
	}
	return days + rest, nil
}

// Format returns d without the units that are zero: 10m, not 10m0s. [Parse]
// returns d for it.
func Format(d time.Duration) string {
	days := d / Day
	rest := d % Day
	var b strings.Builder
	if days > 0 {
		b.WriteString(strconv.FormatInt(int64(days), 10) + "d")
		if rest == 0 {
			return b.String()
		}
	}
	text := rest.String()
	if text == "0s" {
		return "0"
	}
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return b.String() + text
}

// Seconds is a duration in JSON: a string in seconds, such as "0.0012s".
type Seconds time.Duration

// MarshalText is encoding.TextMarshaler's. The text is exact: seconds as a float64
// may have more digits than nanoseconds.
func (s Seconds) MarshalText() ([]byte, error) {
	var text []byte
	if s < 0 {
		text = append(text, '-')
	}
	n := uint64(max(s, -s))
	text = strconv.AppendUint(text, n/uint64(time.Second), 10)
	if rest := n % uint64(time.Second); rest > 0 {
		text = append(text, strings.TrimRight(fmt.Sprintf(".%09d", rest), "0")...)
	}
	return append(text, 's'), nil
}

// UnmarshalText is encoding.TextUnmarshaler's.
func (s *Seconds) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Seconds(d)
	return err
}

// A Value is a duration as a command-line flag.
type Value time.Duration

// String returns the duration as [Format] does.
func (v *Value) String() string { return Format(time.Duration(*v)) }

// Set parses the argument of the flag.
func (v *Value) Set(text string) error {
	d, err := Parse(text)
	if err != nil {
		return err
	}
	*v = Value(d)
	return nil
}

// Type is the placeholder in help texts.
func (*Value) Type() string { return "duration" }

// Roughly returns d with its largest unit, rounded down.
func Roughly(d time.Duration) string {
	for _, unit := range []time.Duration{Day, time.Hour, time.Minute, time.Second, time.Millisecond} {
		if d >= unit {
			return Format(d.Truncate(unit))
		}
	}
	return "0"
}
