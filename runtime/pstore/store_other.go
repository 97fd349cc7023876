//go:build !linux

package pstore

import "time"

// A Store is an open file; there are none on this system.
type Store struct{}

// Open returns ErrUnsupported here.
func Open(string, Sizes) (*Store, error) { return nil, ErrUnsupported }

// Dump does nothing here.
func (s *Store) Dump(string, []byte) {}

// Console does nothing here.
func (s *Store) Console([]byte) {}

// Write does nothing here.
func (s *Store) Write(p []byte) (int, error) { return len(p), nil }

// Crash returns ErrUnsupported here.
func (s *Store) Crash() (string, error) { return "", ErrUnsupported }

// Watch does nothing here.
func (s *Store) Watch(time.Duration) (stop func()) { return func() {} }

// Close does nothing here.
func (s *Store) Close() error { return nil }
