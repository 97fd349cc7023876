// Package other belongs to another module.
package other

// Client keeps what is its own business.
type Client struct{ Password string }
