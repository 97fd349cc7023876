//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/duration"
)

// A rate is a flag with a number of cores in a time, such as 3/10m.
type rate struct{ limit *store.Limit }

func (r rate) String() string {
	if r.limit == nil || r.limit.Count == 0 {
		return "0"
	}
	return fmt.Sprintf("%d/%s", r.limit.Count, duration.Format(r.limit.Per))
}

// Set implements pflag.Value.
func (r rate) Set(text string) error {
	if text == "0" {
		*r.limit = store.Limit{}
		return nil
	}
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	d, err2 := duration.Parse(per)
	if err != nil || err2 != nil || n <= 0 || d <= 0 {
		return errors.New("must be COUNT/TIME, as in 3/10m, or 0")
	}
	*r.limit = store.Limit{Count: n, Per: d}
	return nil
}

// Type implements pflag.Value.
func (rate) Type() string { return "count/time" }
