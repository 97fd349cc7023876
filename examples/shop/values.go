package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"

	"github.com/meminspect/meminspect/examples/shop/orders"
	"github.com/meminspect/meminspect/examples/shop/pricing"
)

// A value is an annotated variable as the program itself sees it now: its
// leaves, each with its path in the variable.
type value struct {
	Package  string `json:"package"`
	Variable string `json:"variable"`
	Leaves   []leaf `json:"leaves"`
}

type leaf struct {
	Path  string `json:"path"`
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// variables lists what is annotated in this package, by hand: the tables of
// the generated code are what is being checked.
func variables() map[string]any {
	return map[string]any{
		"served":     &served,
		"latency":    &latency,
		"limits":     &limits,
		"draining":   &draining,
		"timeout":    &timeout,
		"inFlight":   &inFlight,
		"loadFactor": &loadFactor,
	}
}

func handleValues(w http.ResponseWriter, _ *http.Request) {
	const shop = "github.com/meminspect/meminspect/examples/shop/"
	var values []value
	book.Lock()
	defer book.Unlock()
	for _, from := range []struct {
		path      string
		variables map[string]any
	}{
		{"main", variables()},
		{"main", linuxVariables()},
		{shop + "orders", orders.Variables()},
		{shop + "pricing", pricing.Variables()},
	} {
		for _, name := range slices.Sorted(maps.Keys(from.variables)) {
			values = append(values, value{
				Package:  from.path,
				Variable: name,
				Leaves:   leaves(nil, "", reflect.ValueOf(from.variables[name]).Elem()),
			})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(values); err != nil {
		fmt.Fprintf(os.Stderr, "shop: sending values: %v\n", err)
	}
}

// leaves appends the numbers and truth values that v is made of.
func leaves(list []leaf, path string, v reflect.Value) []leaf {
	text := ""
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "_" {
				list = leaves(list, path+"."+name, v.Field(i))
			}
		}
		return list
	case reflect.Array, reflect.Slice: // a slice is the annotated part of an array
		for i := range v.Len() {
			list = leaves(list, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
		return list
	case reflect.Bool:
		text = strconv.FormatBool(v.Bool())
	case reflect.Float32, reflect.Float64:
		text = strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	default:
		if v.CanInt() {
			text = strconv.FormatInt(v.Int(), 10)
		} else {
			text = strconv.FormatUint(v.Uint(), 10)
		}
	}
	return append(list, leaf{Path: path, Kind: v.Kind().String(), Value: text})
}
