//go:build !linux

package main

func countFiles() {}

func linuxVariables() map[string]any { return nil }
