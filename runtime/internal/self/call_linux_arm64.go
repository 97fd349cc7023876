package self

const sysProcessVMReadv = 270
