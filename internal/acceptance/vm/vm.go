// Package vm has the tests that run in virtual machines: on arm64, with version 2 of
// control groups, with several kernels, and with settings that no test may change on
// its host.
package vm
