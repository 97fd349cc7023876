package suggest

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/meminspect/meminspect/internal/secret"
)

// secretParameters are the parameters of functions and methods that take
// secrets, by index.
var secretParameters = map[string][]int{
	"crypto/aes.NewCipher":                                  {0},
	"crypto/des.NewCipher":                                  {0},
	"crypto/ed25519.NewKeyFromSeed":                         {0},
	"crypto/ed25519.Sign":                                   {0},
	"crypto/hmac.New":                                       {1},
	"crypto/pbkdf2.Key":                                     {1},
	"crypto/rc4.NewCipher":                                  {0},
	"crypto/subtle.ConstantTimeCompare":                     {0, 1},
	"crypto/tls.X509KeyPair":                                {1},
	"database/sql.Open":                                     {1},
	"net/http.Request.SetBasicAuth":                         {1},
	"net/url.UserPassword":                                  {1},
	"github.com/golang-jwt/jwt/v4.Token.SignedString":       {0},
	"github.com/golang-jwt/jwt/v5.Token.SignedString":       {0},
	"github.com/gorilla/sessions.NewCookieStore":            {0},
	"github.com/jackc/pgx/v5.Connect":                       {1},
	"github.com/jackc/pgx/v5/pgxpool.New":                   {1},
	"golang.org/x/crypto/bcrypt.CompareHashAndPassword":     {0, 1},
	"golang.org/x/crypto/bcrypt.GenerateFromPassword":       {0},
	"golang.org/x/crypto/chacha20poly1305.New":              {0},
	"golang.org/x/crypto/chacha20poly1305.NewX":             {0},
	"golang.org/x/crypto/pbkdf2.Key":                        {0},
	"golang.org/x/crypto/scrypt.Key":                        {0},
	"golang.org/x/crypto/ssh.ParsePrivateKey":               {0},
	"golang.org/x/crypto/ssh.ParsePrivateKeyWithPassphrase": {0, 1},
}

// secretArguments records the variables and fields that a call uses as secrets.
func (p *program) secretArguments(f *file, call *ast.CallExpr) {
	fn, ok := typeutil.Callee(f.info, call).(*types.Func)
	if !ok {
		return
	}
	name := functionName(fn)
	for _, i := range secretParameters[name] {
		if i < len(call.Args) {
			p.secretBecause(f, call.Args[i], "it is passed to "+name)
		}
	}
	if strings.HasSuffix(fn.Name(), "Var") || strings.HasSuffix(fn.Name(), "VarP") {
		p.secretFlag(f, call)
	}
}

// secretFlag records the variable of a command-line flag whose name is that of a
// secret, as in flag.StringVar(&dsn, "db-password", …).
func (p *program) secretFlag(f *file, call *ast.CallExpr) {
	if len(call.Args) < 2 {
		return
	}
	address, ok := ast.Unparen(call.Args[0]).(*ast.UnaryExpr)
	value := f.info.Types[call.Args[1]].Value
	if !ok || address.Op != token.AND || value == nil || value.Kind() != constant.String {
		return
	}
	if t := f.info.TypeOf(address.X); !secret.IsText(t) {
		return
	}
	if flag := constant.StringVal(value); secret.Word(flag, secret.Use{Text: true}) != "" {
		p.secretBecause(f, address.X, fmt.Sprintf("the flag %q sets it", flag))
	}
}

// secretBecause records why the variable or field of an expression is a secret.
func (p *program) secretBecause(f *file, expr ast.Expr, why string) {
	if v := root(f, expr); v != nil && p.ours(v.Pkg()) {
		p.secrets[v.Origin()] = why
	}
}

// functionName returns path.Function or path.Type.Method.
func functionName(fn *types.Func) string {
	if named := namedOf(receiverType(fn.Signature().Recv())); named != nil {
		return typeName(named) + "." + fn.Name()
	}
	return packagePath(fn) + "." + fn.Name()
}

// maxForeign is how many fields that cannot be excluded lead to a secret that is
// looked for.
const maxForeign = 3

// secretsIn returns the secrets that a captured value leads to.
func (p *program) secretsIn(pkg, name string, t types.Type) []secret.Secret {
	var list []secret.Secret
	walk := secret.Walk{
		Excluded:        p.done.excluded,
		Known:           p.knownSecret,
		Implementations: p.implementations,
		Found:           func(s secret.Secret) { list = append(list, s) },
		Again:           func(named *types.Named) bool { return !p.declares(named) },
		Enters: func(named *types.Named, path []*types.Var) bool {
			if slices.Contains(public, typeName(named)) {
				return false
			}
			foreign := 0
			for _, field := range path {
				if p.fields[field.Origin()] == nil {
					foreign++
				}
			}
			return p.declares(named) || foreign < maxForeign
		},
	}
	walk.Value(pkg, name, t)
	return list
}

// public are types of other modules that a service shows to everybody.
var public = []string{"crypto/x509.Certificate", "crypto/x509.CertPool"}

// declares reports whether the fields of a type can be excluded: a file that a
// person wrote declares them.
func (p *program) declares(named *types.Named) bool {
	structure, ok := named.Underlying().(*types.Struct)
	if !ok || structure.NumFields() == 0 {
		return p.ours(named.Obj().Pkg())
	}
	return p.fields[structure.Field(0).Origin()] != nil
}

// knownSecret returns why a field is a secret by its use or as unparsed
// configuration, "" if it is not.
func (p *program) knownSecret(field *types.Var) string {
	if why := p.secrets[field.Origin()]; why != "" {
		return why
	}
	if p.ours(field.Pkg()) && unparsed(field.Name(), field.Type()) {
		return unparsedReason
	}
	return ""
}

const unparsedReason = "unparsed configuration may contain passwords and keys"

// unparsed reports whether a value is text or generic data from which a program
// reads its configuration.
func unparsed(name string, t types.Type) bool {
	if m, ok := t.Underlying().(*types.Map); ok {
		return isRawJSON(m.Elem()) || isConfig(name) && secret.IsText(m.Key()) && hasText(m.Elem())
	}
	if s, ok := t.Underlying().(*types.Slice); ok && isRawJSON(s.Elem()) {
		return true
	}
	switch {
	case isRawJSON(t):
		return true
	case !isConfig(name):
		return false
	case isAny(t):
		return true
	case secret.IsText(t):
		_, isString := t.Underlying().(*types.Basic)
		return !isString || hasWord(name, "raw", "json", "yaml", "toml", "text", "content")
	}
	return false
}

// hasText reports whether a value may be a text, or has one.
func hasText(t types.Type) bool {
	if isAny(t) || secret.IsText(t) {
		return true
	}
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if structure, ok := t.Underlying().(*types.Struct); ok {
		for field := range structure.Fields() {
			if isAny(field.Type()) || secret.IsText(field.Type()) {
				return true
			}
		}
	}
	return false
}

func isRawJSON(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && typeName(named) == "encoding/json.RawMessage"
}

func isAny(t types.Type) bool {
	i, ok := t.Underlying().(*types.Interface)
	return ok && i.Empty()
}

// exclusionOf returns the innermost declared field on the way to a secret, nil if
// only an exclusion of the whole captured value helps.
func (p *program) exclusionOf(s *secret.Secret) *declaration {
	for i := len(s.Fields) - 1; i >= 0; i-- {
		if d := p.fields[s.Fields[i].Origin()]; d != nil {
			return d
		}
	}
	return nil
}
