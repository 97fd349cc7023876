package main

import (
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/inspect/value"
)

// Values are found by the texts that are printed of them.
func TestQueryMatches(t *testing.T) {
	literal := func(typ, text string) *value.Value {
		return &value.Value{Shape: value.Literal, Type: typ, Text: "f(" + text + ")", JSON: text}
	}
	values := map[string]*value.Value{
		"port":   literal("netip.AddrPort", "10.1.2.3:443"),
		"addr":   literal("netip.Addr", "fe80::1%eth0"),
		"prefix": literal("netip.Prefix", "10.0.0.0/8"),
		"time":   literal("time.Time", "2026-11-30T09:11:46Z"),
		"ip":     {Shape: value.Bytes, Slice: true, Type: "net.IP", Text: "\x0a\x01\x02\x03"},
		"url":    {Shape: value.Struct, Type: "url.URL", State: []string{"https://ada@example.com:8443/x"}},
		"number": {Shape: value.Literal, Type: "int", Text: "443"},
		"nan":    {Shape: value.Literal, Type: "float64", Text: "math.NaN()", JSON: "NaN"},
		"text":   {Shape: value.Text, Type: "string", Text: "to 10.1.2.3"},
		"absent": {Shape: value.Text, Type: "string", Text: "10.1.2.3", Absent: "redacted"},
	}
	for arg, want := range map[string][]string{
		"10.1.2.3": {"ip", "port", "text"}, "443": {"number", "port"}, "fe80": {"addr"}, "8": {"prefix"}, "2026-11-30": {"time"},
		`"10.1.2.3"`: {"ip"}, "example.com": {"url"}, "10.0.0.0/8": {"prefix"}, "1": {"text"}, "NaN": nil, "0xa": nil,
	} {
		q := queryOf(arg)
		var got []string
		for name, v := range values {
			if q.matches(v) {
				got = append(got, name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", arg, got, want)
		}
	}
}
