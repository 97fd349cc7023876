//go:build linux

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/corefile/store"
)

// A bytesFlag is a number of bytes, with KiB, MiB or GiB behind it or without.
type bytesFlag int64

func (b *bytesFlag) String() string {
	for _, u := range byteUnits {
		if n := int64(*b); n > 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

var byteUnits = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (b *bytesFlag) Set(s string) error {
	size := int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, size = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/size {
		return fmt.Errorf("%q is not a number of bytes such as 4096, 64KiB or 2GiB", s)
	}
	*b = bytesFlag(n * size)
	return nil
}

func (b *bytesFlag) Type() string { return "bytes" }

// A limitFlag is a rate such as 3/10m.
type limitFlag struct{ *store.Limit }

func (l limitFlag) String() string {
	if l.Limit == nil || l.Count == 0 {
		return "0"
	}
	per := l.Per.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(per, none) {
			per = per[:len(per)-len(none)+1]
		}
	}
	return fmt.Sprintf("%d/%s", l.Count, per)
}

func (l limitFlag) Set(s string) error {
	if s == "0" {
		*l.Limit = store.Limit{}
		return nil
	}
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	d, err2 := time.ParseDuration(per)
	if !ok || err != nil || err2 != nil || n <= 0 || d <= 0 {
		return fmt.Errorf("%q is not a rate such as 3/10m", s)
	}
	*l.Limit = store.Limit{Count: n, Per: d}
	return nil
}

func (l limitFlag) Type() string { return "rate" }
