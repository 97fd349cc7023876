package model

// Account is what other packages of the module hold.
type Account struct {
	Name     string
	Password string

	//meminspect:exclude
	Token string

	Key Key
}

//meminspect:exclude
type Key struct {
	Secret [32]byte
}
