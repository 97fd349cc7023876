package secret

import (
	"net/http"
	"net/url"

	"example.com/fixture/secret/model"
	"example.com/other"
	meminspect "github.com/meminspect/meminspect/runtime"
)

// want +2 `password looks like a secret: its name contains "password"; annotate it with //meminspect:exclude instead`
//
//meminspect:entry
var password string

// want +2 `apiKeys\[\] looks like a secret: its name contains "api keys"`
//
//meminspect:entry
var apiKeys map[string][]byte

// want +2 `key looks like a secret: its name contains "key"`
//
//meminspect:entry
var key [32]byte

// want +2 `login looks like a secret: it is a net/url.Userinfo`
//
//meminspect:entry depth=1
var login *url.Userinfo

type session struct {
	user      string
	authToken string
	//meminspect:exclude
	refreshToken string
	key          string
	keys         struct{ signing *url.Userinfo }
}

// want +2 `sessions\[\].authToken looks like a secret: its name contains "token"; write //meminspect:exclude above the field` `sessions\[\].keys.signing looks like a secret: it is a net/url.Userinfo`
//
//meminspect:entry
var sessions map[string]*session

// want +2 `account.Password looks like a secret: .* in package example.com/fixture/secret/model`
//
//meminspect:entry
var account model.Account

// want +2 `config.credentials\[\] looks like a secret`
//
//meminspect:entry member=credentials
var config struct{ credentials []string }

// Types that are made of themselves, and one that is met under two names.

type tree map[string]tree

type chain *chain

type texts map[string][]byte

// want +2 `vaults.branches\[\].token\[\] looks like a secret` `vaults.leaves\[\].token looks` `vaults.root.token looks` `vaults.token looks`
//
//meminspect:entry
var vaults struct {
	tree     tree
	links    []chain
	branches []struct{ plain, token texts }
	leaves   map[int]struct {
		token string
	}
	root struct {
		token string
	}
	plain int; token string
}

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
var server other.Client

//meminspect:entry
var excluded model.Key

//lint:ignore meminspect/secret a test value
//meminspect:entry
var testPassword string

//meminspect:exclude
var secretKey []byte

type vault struct{ passphrase string }

func register(v *vault, names []string) {
	var apiKey string
	keep(meminspect.Register(meminspect.IDDynamic, &apiKey))    // want `apiKey looks like a secret: its name contains "api key"; do not register it`
	keep(meminspect.Register(meminspect.IDDynamic, v))          // want `v.passphrase looks like a secret`
	keep(meminspect.Register(meminspect.IDDynamic, &secretKey)) // excluded
	keep(meminspect.RegisterSlice(meminspect.IDDynamic, names))
}

func keep(meminspect.ID, error) {}

// want +2 `refreshTokenCache\[\] looks like a secret: its name contains "token"`
//
//meminspect:entry
var refreshTokenCache map[string]string

// want +2 `headers\[\] looks like a secret: it is a net/http.Header`
//
//meminspect:entry
var headers map[string]http.Header

// want +2 `userBySession looks like a secret: its name contains "session", and its keys are text`
//
//meminspect:entry
var userBySession map[string]int

// want +2 `letters\[\].pin looks like a secret: its name contains "pin"`
//
//meminspect:entry
var letters chan struct{ pin string }

type options struct {
	//meminspect:exclude
	password string
	journal  struct{ key string }
	diskKey  string
	sortKey  string
}

// want +2 `settings.diskKey looks like a secret: it is a key, and password is next to it; write //meminspect:exclude above the field`
//
//meminspect:entry
var settings options

//meminspect:entry
var sessionCount map[string]int

//meminspect:entry
var pinned, author, passed, discard string
