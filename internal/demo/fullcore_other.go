//go:build !linux

package main

import "context"

func raiseCoreLimit() {}

func fullCores(context.Context, *shop, string) (string, error) {
	return "no full cores on this system", nil
}
