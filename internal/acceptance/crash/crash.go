// Package crash holds the tests of what is captured when a program dies, hangs
// or is asked to, through the command that a user runs.
package crash
