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
