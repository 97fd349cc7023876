// Package crashenv defines the protocol between a supervisor and the runtimes
// of its descendants. An environment variable names the descriptor and the
// inode of the supervisor's channel, a socket that every descendant inherits:
//
//	MEMINSPECT_CRASH=100:48151623
//
// Each program that embeds the runtime makes a crash socket when it starts, and
// sends the other end over the channel with a [Registration]. The kernel
// attaches the sender's credentials.
//
// The inode is needed because the environment may be inherited without the
// descriptor: a program that has another file open under that number must not
// write to it.
package crashenv

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Variable is the environment variable's name.
const Variable = "MEMINSPECT_CRASH"

// Descriptor is the number at which a supervisor starts to search for a free
// descriptor for the channel. It is high because programs that start others
// reassign low numbers.
const Descriptor = 100

// Value returns the variable's value for a channel with the given inode that
// programs inherit as descriptor fd.
func Value(fd int, inode uint64) string {
	return strconv.Itoa(fd) + ":" + strconv.FormatUint(inode, 10)
}

// Parse is the inverse of Value. It reports false for any other value, and for
// descriptors below 3, which are never a channel.
func Parse(value string) (fd int, inode uint64, ok bool) {
	var n [2]uint64 // the package strconv would add the text of its errors to each program
	part := 0
	for i := range len(value) {
		switch c := value[i]; {
		case c == ':' && part == 0:
			part = 1
		case c >= '0' && c <= '9':
			n[part] = n[part]*10 + uint64(c-'0')
		default:
			return 0, 0, false
		}
	}
	fd, inode = int(n[0]), n[1]
	if fd < 3 || fd > math.MaxInt32 || inode == 0 || Value(fd, inode) != value { // too large, or zeros before it
		return 0, 0, false
	}
	return fd, inode, true
}

// RegistrationSize is the length of an encoded Registration.
const RegistrationSize = 16

// A Registration describes the crash socket whose other end is attached to the
// message, as SCM_RIGHTS. It is encoded as
//
//	0	version, 1	uint32
//	4	Filled		uint32
//	8	Inode		uint64
//
// in little-endian order.
type Registration struct {
	// Filled is the number of bytes that the program left in the socket, so that
	// it has room for exactly one more write.
	Filled uint32

	// Inode is the inode of the program's end.
	Inode uint64
}

const (
	version = 1
	look    = 2 // in the place of the version
)

// lookSize is the length of the message of EncodeLook.
const lookSize = 4

// EncodeLook returns the message by which a registered program asks the
// supervisor to read its anchor now, in which it has just counted a request. A
// supervisor that does not receive it reads the anchor later.
func EncodeLook() []byte { return binary.LittleEndian.AppendUint32(nil, look) }

// IsLook reports whether EncodeLook has made the message.
func IsLook(b []byte) bool { return len(b) == lookSize && binary.LittleEndian.Uint32(b) == look }

// Encode returns the encoded registration.
func (r Registration) Encode() []byte {
	b := make([]byte, RegistrationSize)
	binary.LittleEndian.PutUint32(b, version)
	binary.LittleEndian.PutUint32(b[4:], r.Filled)
	binary.LittleEndian.PutUint64(b[8:], r.Inode)
	return b
}

// ParseRegistration is the inverse of Encode. It reports false for any other
// bytes.
func ParseRegistration(b []byte) (Registration, bool) {
	if len(b) != RegistrationSize || binary.LittleEndian.Uint32(b) != version {
		return Registration{}, false
	}
	r := Registration{Filled: binary.LittleEndian.Uint32(b[4:]), Inode: binary.LittleEndian.Uint64(b[8:])}
	if r.Filled == 0 || r.Inode == 0 {
		return Registration{}, false
	}
	return r, true
}
