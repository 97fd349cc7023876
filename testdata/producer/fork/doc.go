// Package shop is a fork: its store was copied, with its ledger.
package shop

//go:generate meminspect generate ./...
