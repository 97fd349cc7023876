//go:build race && linux && (amd64 || arm64)

package store

//meminspect:entry
var raceReports int
