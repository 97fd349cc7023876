#include "textflag.h"

// func bounds() (text, etext, pclntab uintptr)
TEXT ·bounds(SB), NOSPLIT, $0-24
	LEAQ runtime·text(SB), AX
	MOVQ AX, text+0(FP)
	LEAQ runtime·etext(SB), AX
	MOVQ AX, etext+8(FP)
	LEAQ runtime·pclntab(SB), AX
	MOVQ AX, pclntab+16(FP)
	RET

// func sections() (from, to [4]uintptr)
TEXT ·sections(SB), NOSPLIT, $0-64
	LEAQ runtime·noptrdata(SB), AX
	MOVQ AX, from_0+0(FP)
	LEAQ runtime·data(SB), AX
	MOVQ AX, from_1+8(FP)
	LEAQ runtime·bss(SB), AX
	MOVQ AX, from_2+16(FP)
	LEAQ runtime·noptrbss(SB), AX
	MOVQ AX, from_3+24(FP)
	LEAQ runtime·enoptrdata(SB), AX
	MOVQ AX, to_0+32(FP)
	LEAQ runtime·edata(SB), AX
	MOVQ AX, to_1+40(FP)
	LEAQ runtime·ebss(SB), AX
	MOVQ AX, to_2+48(FP)
	LEAQ runtime·enoptrbss(SB), AX
	MOVQ AX, to_3+56(FP)
	RET
