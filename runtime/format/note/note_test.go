package note

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func exampleRegions() []Region {
	return []Region{
		{ID: 1, Addr: 2, Size: 3, Captured: 2, TypeAddr: 5, Budget: 6, Order: 7, Kind: 8, Flags: 9, Status: Torn | Budget, Depth: -1, Name: "Name", Expr: "a.b", Package: "example.com/p", Type: "[]int", Pos: "x.go:1", Note: "n"},
		{ID: 1 << 63, Name: "Name", Package: "example.com/p"},
	}
}

func TestRoundTrip(t *testing.T) {
	rs := exampleRegions()
	if got, err := DecodeRegions(EncodeRegions(rs)); err != nil || !reflect.DeepEqual(got, rs) {
		t.Errorf("%+v, %v", got, err)
	}
	receipts := []Receipt{{Addr: 1, Size: 2, ID: 3, Reason: ReasonExcluded, Count: 4, Rule: "p.T.F"}, {Reason: ReasonStack}}
	if got, err := DecodeReceipts(EncodeReceipts(receipts)); err != nil || !reflect.DeepEqual(got, receipts) {
		t.Errorf("%+v, %v", got, err)
	}
	c := &Capture{Why: "asked", When: time.Unix(12, 345), Who: "w", Stopped: 5, Clock: 7, ToolVersion: "v1", GoVersion: "go1.26", BuildID: "b", GNUBuildID: "00ff", Program: "/bin/p", Main: "example.com/p", Host: "h", Kernel: "6.1", PID: 9, Strict: true, Extra: []Pair{{"later", "thing"}}}
	padded, err := c.EncodeSize(1000)
	if err != nil || len(padded) != 1000 {
		t.Fatal(len(padded), err)
	}
	for _, desc := range [][]byte{c.Encode(), padded} {
		if got, err := DecodeCapture(desc); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := c.EncodeSize(10); err == nil {
		t.Error("a record was cut to fit")
	}
	text := &CrashText{Text: "panic: x", Truncated: true}
	if got, err := DecodeCrashText(text.Encode()); err != nil || !reflect.DeepEqual(got, text) {
		t.Errorf("%+v, %v", got, err)
	}
	x := &Extra{Name: "n", Data: []byte{1, 2}}
	if got, err := DecodeExtra(x.Encode()); err != nil || !reflect.DeepEqual(got, x) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Room for a region table is reserved before its numbers are known.
func TestRegionTableLengthIsThatOfItsStrings(t *testing.T) {
	rs := exampleRegions()
	before := len(EncodeRegions(rs))
	for i := range rs {
		rs[i].Status, rs[i].Captured, rs[i].Size = ^Status(0), 1<<60, 1<<61
	}
	if after := len(EncodeRegions(rs)); after != before {
		t.Errorf("%d bytes, before %d", after, before)
	}
}

func TestStatusWords(t *testing.T) {
	for s, want := range map[Status]string{
		Complete: "complete", Gone: "gone", Torn: "torn", Unreadable: "unreadable", Depth: "partial (depth)",
		Torn | Redacted: "torn (redacted)", Budget | Depth | Holes: "partial (depth, budget, unreadable)", 1 << 20: "partial (status 0x100000)",
	} {
		if s.String() != want {
			t.Errorf("%d: %q, want %q", s, s, want)
		}
	}
}

func TestUnknownVersion(t *testing.T) {
	desc := EncodeRegions(nil)
	desc[0] = 9
	_, err := DecodeRegions(desc)
	var v *VersionError
	if !errors.As(err, &v) || v.Version != 9 || !strings.Contains(err.Error(), "newer meminspect") {
		t.Errorf("%v", err)
	}
}

// FuzzDecode: a decoder returns an error and no value, or a value that survives
// encoding and decoding.
func FuzzDecode(f *testing.F) {
	f.Add(EncodeRegions(exampleRegions()))
	f.Add(EncodeReceipts([]Receipt{{Rule: "r"}}))
	f.Add((&Capture{Why: "w", When: time.Unix(1, 2), PID: 3, Extra: []Pair{{"a", "b"}}}).Encode())
	f.Add((&Extra{Name: "n"}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if rs, err := DecodeRegions(b); err != nil && rs != nil {
			t.Error("regions with an error")
		} else if err == nil {
			if again, err := DecodeRegions(EncodeRegions(rs)); err != nil || !reflect.DeepEqual(again, rs) {
				t.Errorf("regions %+v become %+v, %v", rs, again, err)
			}
		}
		if rs, err := DecodeReceipts(b); err != nil && rs != nil {
			t.Error("receipts with an error")
		} else if err == nil {
			if again, err := DecodeReceipts(EncodeReceipts(rs)); err != nil || !reflect.DeepEqual(again, rs) {
				t.Errorf("receipts %+v become %+v, %v", rs, again, err)
			}
		}
		if c, err := DecodeCapture(b); err != nil && c != nil {
			t.Error("capture with an error")
		} else if err == nil {
			if again, err := DecodeCapture(c.Encode()); err != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("capture %+v becomes %+v, %v", c, again, err)
			}
		}
		if x, err := DecodeExtra(b); err == nil {
			if again, err := DecodeExtra(x.Encode()); err != nil || again.Name != x.Name || string(again.Data) != string(x.Data) {
				t.Errorf("extra %+v becomes %+v, %v", x, again, err)
			}
		}
	})
}
