package registry

import "strconv"

// FormatID returns the name that a linked table gives to an ID, or else the ID
// as 16 hexadecimal digits.
func FormatID(id uint64) string {
	if name := NameOf(id); name != "" {
		return name
	}
	s := strconv.FormatUint(id, 16)
	return "0000000000000000"[len(s):] + s
}
