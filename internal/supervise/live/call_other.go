//go:build !linux

package live

const writeCall = ""
