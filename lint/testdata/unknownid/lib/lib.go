package lib

//meminspect:id Config
