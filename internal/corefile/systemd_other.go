//go:build !linux

package corefile

func attributeOf(string, string) string { return "" }

func signalName(int) string { return "" }
