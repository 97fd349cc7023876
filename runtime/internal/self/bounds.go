//go:build amd64 || arm64

package self

func bounds() (text, etext, pclntab uintptr)

func sections() (from, to [4]uintptr)
