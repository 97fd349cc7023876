package linker

import "testing"

func TestMajorless(t *testing.T) {
	for pkg, want := range map[string]string{
		"example.com/shop":          "example.com/shop",
		"example.com/shop/v2":       "example.com/shop",
		"example.com/shop/v9/store": "example.com/shop/store",
		"example.com/shop/v10":      "example.com/shop",
		"example.com/shop/v21/x":    "example.com/shop/x",
		"example.com/shop/v1":       "example.com/shop/v1", // a folder: modules have no v1
		"example.com/shop/v2x":      "example.com/shop/v2x",
		"gopkg.in/yaml.v3":          "gopkg.in/yaml",
	} {
		if got := majorless(pkg); got != want {
			t.Errorf("%s: %s, want %s", pkg, got, want)
		}
	}
}
