package store_test

import (
	"testing"

	"example.org/fork/shop/store"
)

//meminspect:entry
var described []string

func TestFromOutside(t *testing.T) {
	described = append(described, store.Describe())
	if idDescribed.String() != "described" {
		t.Error(idDescribed)
	}
}
