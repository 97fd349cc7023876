package secret

import (
	"crypto/ed25519"
	"crypto/rsa"
	"net/http"

	"example.com/fixture/secret/model"
)

// want +1 `password looks like a secret: its name says "password"; annotate it with //meminspect:exclude instead`
//meminspect:entry
var password string

// want +1 `apiKeys\[\] looks like a secret: its name says "api keys"`
//meminspect:entry
var apiKeys map[string][]byte

// want +1 `key looks like a secret: its name says "key"`
//meminspect:entry
var key [32]byte

// want +1 `signer looks like a secret: it is a crypto/rsa.PrivateKey`
//meminspect:entry depth=1
var signer *rsa.PrivateKey

type session struct {
	user      string
	authToken string
	//meminspect:exclude
	refreshToken string
	key          string
	keys         struct{ signing ed25519.PrivateKey }
}

// want +1 `sessions\[\].authToken looks like a secret: its name says "token"; write //meminspect:exclude above the field` `sessions\[\].keys.signing looks like a secret: it is a crypto/ed25519.PrivateKey`
//meminspect:entry
var sessions map[string]*session

// want +1 `account.Password looks like a secret: .* in package example.com/fixture/secret/model`
//meminspect:entry
var account model.Account

// want +1 `config.credentials\[\] looks like a secret`
//meminspect:entry member=credentials
var config struct{ credentials []string }

// What only sounds like one.

//meminspect:entry
var tokenCount, keysSeen int

//meminspect:entry
var nextPageToken, keyPrefix, cacheKey, secretName, passwordFile string

//meminspect:entry
var tokenBuckets []int

//meminspect:entry
var compass string

// The insides of other modules are theirs.

//meminspect:entry
var server http.Server

//meminspect:entry
var excluded model.Key

//lint:ignore meminspect/secret a test value
//meminspect:entry
var testPassword string
