package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/runtime/format/ramoops"
)

// A dump that the kernel compressed is printed as text, also as JSON; one that cannot be
// decompressed is reported.
func TestCompressedDump(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("Panic#1 Part1\n<0>a line\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	image := func(text []byte) []byte {
		data := append([]byte("====1700000000.000001-C\n"), text...)
		b := binary.LittleEndian.AppendUint32(nil, ramoops.Signature)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		return append(append(b, data...), make([]byte, 4096)...)
	}
	for text, want := range map[string]string{packed.String(): "    <0>a line\n", "no deflate": "    (decompressing the dump: "} {
		zones, err := ramoops.Read(image([]byte(text)))
		if err != nil || len(zones) != 1 {
			t.Fatalf("%+v, %v", zones, err)
		}
		var out strings.Builder
		printZone(&out, 0, &zones[0], false)
		if !strings.Contains(out.String(), want) {
			t.Errorf("it printed\n%s", out.String())
		}
		if z := zoneJSON(&zones[0], false); (z.Text == "") == (text == packed.String()) || !z.Compressed || strings.Contains(z.Text, "no deflate") {
			t.Errorf("%+v", z)
		}
	}
}
