package corefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	names := []string{ // the newest first
		Name("shop", 12, noon.Add(time.Minute), "hang"),
		Name("cart", 13, noon.Add(time.Second), "panic") + ".zst.age",
		Name("shop", 11, noon, "panic"),
	}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{".limits.json", "core.12", "." + names[0] + ".partial-1"} {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, Name("folder", 1, noon, "panic")), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, names[0]), filepath.Join(dir, Name("link", 1, noon, "panic"))); err != nil {
		t.Fatal(err)
	}
	cores, err := List(dir)
	if err != nil || len(cores) != len(names) {
		t.Fatalf("%d cores, %v", len(cores), err)
	}
	for i, c := range cores {
		if c.Path != filepath.Join(dir, names[i]) || c.Bytes != int64(i) {
			t.Errorf("core %d is %s, %d bytes, want %s", i, c.Path, c.Bytes, names[i])
		}
	}
	for text, want := range map[string]string{"@1": names[0], "@2": names[1], "shop@2": names[2], "cart@1": names[1]} {
		s, ok := ParseSelector(text)
		if !ok || s.String() != text {
			t.Errorf("%q is read as %+v, %v", text, s, ok)
			continue
		}
		if c, err := s.Find(dir); err != nil || filepath.Base(c.Path) != want {
			t.Errorf("%s finds %s, %v, want %s", text, c.Path, err, want)
		}
	}
	for text, want := range map[string]string{"@4": "has only @1 to @3", "cart@2": "has only cart@1", "till@1": "has no core of till"} {
		s, _ := ParseSelector(text)
		if _, err := s.Find(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	// The spool is listed too.
	waiting := filepath.Join(Spool(dir), Name("till", 14, noon.Add(time.Hour), "panic"))
	if err := os.Mkdir(Spool(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(waiting, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := (Selector{N: 1}).Find(dir); err != nil || c.Path != waiting || !c.Waits || !Spooled(c.Path) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := (Selector{N: 2}).Find(dir); err != nil || c.Waits || Spooled(c.Path) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := List(filepath.Join(dir, "absent")); err == nil {
		t.Error("a directory that is not there has a list")
	}
}

func TestParseSelector(t *testing.T) {
	for _, other := range []string{"", "@", "@0", "@-1", "@01", "1", "shop", "shop@", "a/b@1", "shop.core@1", "@9999999999"} {
		if s, ok := ParseSelector(other); ok {
			t.Errorf("%q is read as %+v", other, s)
		}
	}
}

// Names that systemd-coredump gave, with the attributes that it sets and without.
func TestListOfSystemd(t *testing.T) {
	const boot, micros = "7d2f2e1b0c9a4c5e8f6a7b8c9d0e1f2a", "1790000000123456"
	attributes := map[string]string{systemdExe: "/usr/bin/a-very-long-program", systemdSignal: "6"}
	none := func(string) string { return "" }
	all := func(name string) string { return attributes[name] }
	when := time.UnixMicro(1790000000123456).UTC()
	for _, c := range []struct {
		name      string
		attribute func(string) string
		want      Title
		ok        bool
	}{
		{"core.shop.0." + boot + ".41." + micros + ".zst", none, Title{"shop", 41, when, "signal"}, true},
		{"core.a-very-long-pro.1000." + boot + ".42." + micros, all, Title{"a-very-long-program", 42, when, "signal-sigabrt"}, true},
		{`core.my\x2eshop\x20x.0.` + boot + ".43." + micros + ".lz4", none, Title{"my-shop-x", 43, when, "signal"}, true},
		{"core.shop.0." + boot + ".41." + micros + ".zst.tmp", none, Title{}, false},
		{"core.shop.41", none, Title{}, false},
		{"core.shop.0." + boot + ".99999999999999999999." + micros, none, Title{}, false},
	} {
		if got, ok := parseSystemdName(c.name, c.attribute); ok != c.ok || got != c.want {
			t.Errorf("%s is %+v, %t, want %+v", c.name, got, ok, c.want)
		}
	}
}

// The store of systemd has its cores in the list of all, and not in that of ours, which are
// removed when there are too many.
func TestListKeepsTheirs(t *testing.T) {
	dir := t.TempDir()
	theirs := "core.shop.0.7d2f2e1b0c9a4c5e8f6a7b8c9d0e1f2a.41.1790000000123456.zst"
	for _, name := range []string{theirs, Name("shop", 11, noon, "panic")} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ours, err1 := List(dir)
	all, err2 := ListAll(dir)
	if err1 != nil || err2 != nil || len(ours) != 1 || ours[0].Full || len(all) != 2 || IsName(theirs) {
		t.Errorf("%+v, %v; %+v, %v", ours, err1, all, err2)
	}
}
