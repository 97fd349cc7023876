package value

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Addresses of this process' own memory are what netip prints of them.
func TestNetip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := struct {
		Addrs    []netip.Addr
		Ports    []netip.AddrPort
		Prefixes []netip.Prefix
	}{
		Addrs: []netip.Addr{{}, netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("fe80::1%eth0"), netip.IPv6Unspecified(), netip.MustParseAddr("0.0.0.0")},
		Ports: []netip.AddrPort{{}}, Prefixes: []netip.Prefix{{}},
	}
	for range 50 {
		var b [16]byte
		for i := range b {
			b[i] = byte(random.Uint32() * random.Uint32N(2))
		}
		for _, a := range []netip.Addr{netip.AddrFrom16(b), netip.AddrFrom4([4]byte(b[:4]))} {
			all.Addrs = append(all.Addrs, a)
			all.Ports = append(all.Ports, netip.AddrPortFrom(a, uint16(random.Uint32())))
			all.Prefixes = append(all.Prefixes, netip.PrefixFrom(a, random.IntN(33)))
		}
	}
	p, typ, addr := self(t, &all, plain)
	v := Read(p, typ, addr, Limits{})
	runtime.KeepAlive(&all)
	check := func(i int, got *Value, valid bool, text, function, zero string) {
		want := zero
		if valid {
			want = function + `("` + text + `")`
		} else {
			text = ""
		}
		if got.Text != want || got.JSON != text {
			t.Errorf("%d: %s, JSON %v; want %s", i, got.Text, got.JSON, want)
		}
	}
	for i, x := range all.Addrs {
		check(i, v.field("Addrs").Elems[i], x.IsValid(), x.String(), "netip.MustParseAddr", "netip.Addr{}")
	}
	for i, x := range all.Ports {
		check(i, v.field("Ports").Elems[i], x.IsValid(), x.String(), "netip.MustParseAddrPort", "netip.AddrPort{}")
	}
	for i, x := range all.Prefixes {
		check(i, v.field("Prefixes").Elems[i], x.IsValid(), x.String(), "netip.MustParsePrefix", "netip.Prefix{}")
	}
}

// Numbers of package math/big are what they print.
func TestBigNumbers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := struct {
		Rats   []*big.Rat
		Floats []*big.Float
	}{
		Rats:   []*big.Rat{{}, big.NewRat(22, 7), big.NewRat(-1, 3), big.NewRat(4, 2)},
		Floats: []*big.Float{{}, big.NewFloat(1.5), big.NewFloat(-0.1), new(big.Float).SetInf(true), new(big.Float).SetInf(false), new(big.Float).SetPrec(500).SetMantExp(big.NewFloat(3), -4000)},
	}
	for range 100 {
		a, b := new(big.Int), new(big.Int)
		for range 1 + random.IntN(5) {
			a.Lsh(a, 64).Or(a, new(big.Int).SetUint64(random.Uint64()))
			b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(random.Uint64()|1))
		}
		rat := new(big.Rat).SetFrac(a, b)
		float := new(big.Float).SetPrec(uint(1 + random.IntN(300))).SetRat(rat)
		all.Rats, all.Floats = append(all.Rats, rat), append(all.Floats, float.SetMantExp(float, random.IntN(1000)-500))
	}
	p, typ, addr := self(t, &all, plain)
	v := Read(p, typ, addr, Limits{})
	runtime.KeepAlive(&all)
	for i, x := range all.Rats {
		if got := v.field("Rats").Elems[i].Elem.Text; got != x.RatString() {
			t.Errorf("big.Rat %s, want %s", got, x.RatString())
		}
	}
	for i, x := range all.Floats {
		if got := v.field("Floats").Elems[i].Elem.Text; got != x.Text('g', -1) {
			t.Errorf("big.Float %s, want %s", got, x.Text('g', -1))
		}
	}
}

// What no field shows is stated: a URL as text without its password, and why a
// context has ended.
func TestStates(t *testing.T) {
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	running, stop := context.WithCancel(t.Context())
	defer stop()
	cancelled, cancel := context.WithCancel(running)
	cancel()
	late, cancel := context.WithDeadline(running, time.Now().Add(-time.Second))
	defer cancel()
	failed, fail := context.WithCancelCause(running)
	fail(errors.New("the reason"))
	all := struct {
		Running, Cancelled, Late, Failed context.Context
		Plain, Secret, Mail              *url.URL
	}{running, cancelled, late, failed, parse("https://example.com/a%2Fb?q=1#top"), parse("postgres://ada:word@db:5432/x?"), parse("mailto:ada@example.com")}
	p, typ, addr := self(t, &all, plain)
	text := Read(p, typ, addr, Limits{}).Go()
	runtime.KeepAlive(&all)
	for _, want := range []string{
		"/* https://example.com/a%2Fb?q=1#top */", "/* postgres://ada:xxxxx@db:5432/x? */", "/* mailto:ada@example.com */",
		"/* ended: context canceled */", "/* ended: context deadline exceeded */",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if n := strings.Count(text, "ended:"); n != 3 {
		t.Errorf("%d contexts have ended\n%s", n, text)
	}
}

// A time has the name and the offset that its zone had at that moment.
func TestZones(t *testing.T) {
	x := &struct{ Times []time.Time }{}
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Asia/Kolkata", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Skip(err)
		}
		for day := range 20_000 {
			if day%97 == 0 {
				x.Times = append(x.Times, time.Unix(int64(day)*86400, 5).In(zone))
			}
		}
	}
	p, typ, addr := self(t, x, plain)
	v := Read(p, typ, addr, Limits{Elements: -1})
	for i, when := range x.Times {
		name, offset := when.Zone()
		want := fmt.Sprintf("time.FixedZone(%q, %d)", name, offset)
		if name == "UTC" {
			want = "time.UTC"
		}
		if got := v.field("Times").Elems[i].Text; !strings.HasSuffix(got, want+")") {
			t.Fatalf("%v is %s", when, got)
		}
	}
	runtime.KeepAlive(x)
}
