// Command shared annotates bytes that an excluded field, and an excluded variable
// by way of a slice elsewhere, hold too. The secrets are made at run time.
package main

import (
	"os"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

// secret is the formula of the tests.
func secret(n int) []byte {
	x := uint64(n+1)*0x9e3779b97f4a7c15 + 0x1234567
	var b [8]byte
	for i := range b {
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		b[i] = byte(x>>32) | 1
	}
	return b[:]
}

type user struct {
	Name  string
	Token []byte // excluded
	_     [8192]byte
}

var (
	users  []*user
	hidden [][]byte // excluded
	seen   [][]byte // what both hold
)

const path = "github.com/meminspect/meminspect/internal/acceptance/testdata/shared"

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   path,
	Namespace: "shared",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "users", Expr: "users", Var: &users},
		{ID: 1<<63 | 2, Name: "seen", Expr: "seen", Var: &seen},
	},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeVariable, Var: &hidden, Package: path},
		{Kind: meminspectimpl.ExcludeField, Var: (*user)(nil), Offset: 16, Size: 24, Package: path, Type: "user", Field: "Token"},
	},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	for n := range 8 {
		users = append(users, &user{Name: "visible", Token: secret(n)})
		seen = append(seen, users[n].Token)
	}
	hidden = make([][]byte, 512) // pages of its own
	for n := range 8 {
		hidden[n*64] = secret(8 + n)
		seen = append(seen, hidden[n*64])
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}
