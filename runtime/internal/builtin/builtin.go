// Package builtin lets the packages of this module, and nobody else, register
// regions under reserved IDs.
package builtin

// A Token is the right to do so.
type Token struct{}
