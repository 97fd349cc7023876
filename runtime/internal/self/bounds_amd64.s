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
