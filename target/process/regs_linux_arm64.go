package process

import "encoding/binary"

func threadPointer(th *Thread) uint64 {
	tls, err := getRegSet(th.ID, ntARMTLS, make([]byte, 16))
	if err != nil || len(tls) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(tls)
}
