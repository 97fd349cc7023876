//go:build !unix

package plainfile

// The system has no symbolic links of other users, and no named pipes in folders.
const noFollow, nonBlock = 0, 0
