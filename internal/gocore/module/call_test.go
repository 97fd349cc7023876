package module

import "testing"

func TestEndsInCall(t *testing.T) {
	for _, c := range []struct {
		what string
		code []byte
		want bool
	}{
		{"CALL rel32", []byte{0x48, 0x89, 0xe8, 1, 2, 3, 4}, true},
		{"CALL AX", []byte{0x90, 0x90, 0xff, 0xd0}, true},
		{"CALL R9", []byte{0x41, 0xff, 0xd1}, true},
		{"CALL (DX)", []byte{0xff, 0x12}, true},
		{"CALL 24(CX)", []byte{0xff, 0x51, 0x18}, true},
		{"CALL 0x120(CX)", []byte{0xff, 0x91, 0x20, 1, 0, 0}, true},
		{"CALL (SP)", []byte{0xff, 0x14, 0x24}, true},
		{"CALL 8(SP)", []byte{0xff, 0x54, 0x24, 8}, true},
		{"CALL x(IP)", []byte{0xff, 0x15, 1, 2, 3, 4}, true},
		{"CALL x(CX*8)", []byte{0xff, 0x14, 0xcd, 1, 2, 3, 4}, true},
		{"JMP AX", []byte{0x90, 0xff, 0xe0}, false},
		{"INC (AX)", []byte{0x90, 0xff, 0x00}, false},
		{"MOVL AX, (CX)", []byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x89, 0x01}, false},
		{"nothing", nil, false},
	} {
		if got := endsInCallAMD64(c.code); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	for _, c := range []struct {
		what string
		inst uint32
		want bool
	}{
		{"BL", 0x94000333, true}, {"BL backwards", 0x97fe752f, true}, {"BLR X27", 0xd63f0360, true},
		{"B", 0x17ffffe5, false}, {"BR X27", 0xd61f0360, false}, {"RET", 0xd65f03c0, false}, {"SVC", 0xd4000001, false}, {"MOVD R0, (R1)", 0xf9000020, false},
	} {
		code := []byte{0, byte(c.inst), byte(c.inst >> 8), byte(c.inst >> 16), byte(c.inst >> 24)}
		if got := endsInCallARM64(code); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if endsInCallARM64([]byte{0, 0, 0x94}) {
		t.Error("three bytes are a call")
	}
}
