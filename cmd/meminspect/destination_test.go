//go:build linux

package main

import "testing"

// Cores that leave the machine unencrypted are warned about.
func TestInTheClear(t *testing.T) {
	for to, want := range map[string]bool{
		"":                                false,
		"-":                               false,
		"exec:curl http://cores.example/": false,
		"https://cores.example/{name}":    false,
		"http://cores.example/{name}":     true,
		"http://10.1.2.3:9000/{name}":     true,
		"http://127.0.0.1:9000/{name}":    false,
		"http://[::1]:9000/{name}":        false,
		"http://localhost:9000/{name}":    false,
	} {
		if got := inTheClear(to); got != want {
			t.Errorf("%s: %v", to, got)
		}
	}
}
