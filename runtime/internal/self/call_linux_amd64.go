package self

const sysProcessVMReadv = 310
