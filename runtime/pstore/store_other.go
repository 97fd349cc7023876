//go:build !linux

package pstore

import "time"

// A Store is an open file. This system does not support it.
type Store struct{}

// Open returns ErrUnsupported on this system.
func Open(string, Sizes) (*Store, error) { return nil, ErrUnsupported }

// Dump does nothing on this system.
func (s *Store) Dump(string, []byte) {}

// Console does nothing on this system.
func (s *Store) Console([]byte) {}

// Write does nothing on this system.
func (s *Store) Write(p []byte) (int, error) { return len(p), nil }

// Crash returns ErrUnsupported on this system.
func (s *Store) Crash() (string, error) { return "", ErrUnsupported }

// Watch does nothing on this system.
func (s *Store) Watch(time.Duration) (stop func()) { return func() {} }

// Close does nothing on this system.
func (s *Store) Close() error { return nil }
