package main

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// provideRoots gives package crypto/x509 the root certificates in this program,
// for images that have none. What makes an HTTP client calls it first. It is not
// done at start, because the certificates take half a megabyte and a millisecond,
// which most commands and most supervisors do not need.
var provideRoots = sync.OnceFunc(func() {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // the others are of use without it
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
})
