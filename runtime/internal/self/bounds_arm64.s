#include "textflag.h"

// func bounds() (text, etext, pclntab uintptr)
TEXT ·bounds(SB), NOSPLIT, $0-24
	MOVD $runtime·text(SB), R0
	MOVD R0, text+0(FP)
	MOVD $runtime·etext(SB), R0
	MOVD R0, etext+8(FP)
	MOVD $runtime·pclntab(SB), R0
	MOVD R0, pclntab+16(FP)
	RET

// func sections() (from, to [4]uintptr)
TEXT ·sections(SB), NOSPLIT, $0-64
	MOVD $runtime·noptrdata(SB), R0
	MOVD R0, from_0+0(FP)
	MOVD $runtime·data(SB), R0
	MOVD R0, from_1+8(FP)
	MOVD $runtime·bss(SB), R0
	MOVD R0, from_2+16(FP)
	MOVD $runtime·noptrbss(SB), R0
	MOVD R0, from_3+24(FP)
	MOVD $runtime·enoptrdata(SB), R0
	MOVD R0, to_0+32(FP)
	MOVD $runtime·edata(SB), R0
	MOVD R0, to_1+40(FP)
	MOVD $runtime·ebss(SB), R0
	MOVD R0, to_2+48(FP)
	MOVD $runtime·enoptrbss(SB), R0
	MOVD R0, to_3+56(FP)
	RET
