// Package secret recognizes secrets by their types and names. It is the one
// place that knows what looks like a secret in source.
package secret

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// holders are the types that have or lead to private keys, passwords, tokens or cookies,
// whatever the variable's name.
var holders = []string{
	"crypto.PrivateKey", "crypto/rsa.PrivateKey", "crypto/ecdsa.PrivateKey", "crypto/ed25519.PrivateKey",
	"crypto/ecdh.PrivateKey", "crypto/dsa.PrivateKey", "crypto/tls.Certificate", "crypto/tls.Config",
	"crypto/mlkem.DecapsulationKey768", "crypto/mlkem.DecapsulationKey1024",
	"crypto.Signer", "crypto.Decrypter", "golang.org/x/crypto/ssh.Signer",
	"net/url.Userinfo", "database/sql.DB", "golang.org/x/oauth2.Token", "golang.org/x/oauth2.Config",
	"filippo.io/age.X25519Identity", "filippo.io/age.ScryptIdentity",
	"net/http.Header", "net/http.Cookie", "net/http/cookiejar.Jar", "net/http.Request",
}

// A Secret is a value that looks like a secret.
type Secret struct {
	Expr   string       // the expression that leads to it, like sessions[].Token
	Fields []*types.Var // the fields on the way, the secret's own last; none for the captured value itself
	Why    string
}

// Field returns the field that is the secret, nil for the captured value itself.
func (s *Secret) Field() *types.Var {
	if len(s.Fields) == 0 {
		return nil
	}
	return s.Fields[len(s.Fields)-1]
}

// A Walk searches what a captured value leads to for secrets.
type Walk struct {
	// Excluded reports whether a variable (path.Name), type (path.Type) or field
	// (path.Type.Field) is excluded: the walk ignores it.
	Excluded func(key string) bool
	// Enters reports whether the walk looks inside values of a named type. path
	// has the fields that lead there.
	Enters func(named *types.Named, path []*types.Var) bool
	// Again reports whether the walk looks inside a struct type each time that
	// something leads to it: the fields of the type cannot be excluded, so what
	// leads to them must be. Enters then bounds the walk. It may be nil.
	Again func(named *types.Named) bool
	// Known returns why a field is a secret although neither its type nor its
	// name shows it. It may be nil.
	Known func(field *types.Var) string
	// Implementations returns the types that values of an interface type may have.
	// It may be nil: then the walk does not look inside interfaces.
	Implementations func(*types.Interface) []types.Type
	// Found is called for each secret, in the order of the fields.
	Found func(Secret)

	seen map[types.Type]bool // structs, and the types that lead to the current value
	path []*types.Var
	key  string // of the innermost variable or named type: exclusions of fields refer to it
}

// Value searches the captured value expr of a package.
func (w *Walk) Value(pkgPath, expr string, t types.Type) {
	w.seen, w.path, w.key = map[types.Type]bool{}, nil, pkgPath+"."+expr
	if w.Excluded(w.key) {
		return
	}
	name := expr // its last field, or the variable
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, "[")
	w.visit(t, Use{Variable: true}, name, expr)
}

// visit checks a value: its type, what its name is the name of, its name, and the
// expression that leads to it.
func (w *Walk) visit(t types.Type, use Use, name, expr string) {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		key := typeKey(named)
		if w.Excluded(key) {
			return
		}
		if slices.Contains(holders, key) {
			w.found(expr, "it is a "+key)
			return
		}
		if !IsText(t) && (types.IsInterface(t) || !w.Enters(named, w.path)) && leadsToKey(named) {
			w.found(expr, "it is a "+key)
			return
		}
		if w.seen[t] || !IsText(t) && !w.Enters(named, w.path) {
			return
		}
		w.seen[t] = true
		_, isStruct := named.Underlying().(*types.Struct)
		if !isStruct || w.Again != nil && w.Again(named) {
			// The name, or the field to exclude, comes from the value that contains it,
			// which may be another one next time.
			defer delete(w.seen, t)
		}
		if isStruct {
			defer func(key string) { w.key = key }(w.key)
			w.key = key
		}
	}
	if IsText(t) {
		if why := textSecret(t, name, use); why != "" {
			w.found(expr, why)
		}
		return
	}
	switch t := t.Underlying().(type) {
	case *types.Pointer:
		w.visit(t.Elem(), use, name, expr)
	case *types.Slice:
		w.visit(t.Elem(), use.in(false), name, expr+"[]")
	case *types.Array:
		w.visit(t.Elem(), use.in(false), name, expr+"[]")
	case *types.Chan:
		w.visit(t.Elem(), use.in(false), name, expr+"[]")
	case *types.Map:
		if IsText(t.Key()) && (!IsText(t.Elem()) || textSecret(t.Elem(), name, use.in(true)) == "") {
			if word := KeyWord(name); word != "" {
				w.found(expr, fmt.Sprintf("its name contains %q, and its keys are text", word))
				return
			}
		}
		w.visit(t.Elem(), use.in(true), name, expr+"[]")
	case *types.Interface:
		if w.Implementations != nil {
			for _, implementation := range w.Implementations(t) {
				w.visit(implementation, use, name, expr)
			}
		}
	case *types.Struct:
		w.fields(t, expr)
	}
}

// in returns the use of a container's name for what the container has.
func (u Use) in(isMap bool) Use {
	u.Container = true
	u.Map = u.Map || isMap
	return u
}

// leadsToKey reports whether a type that the walk does not look into leads to a
// private key: its name is that of one, or of a pair with one, or a method returns
// its bytes.
func leadsToKey(named *types.Named) bool {
	words := Words(named.Obj().Name())
	switch end := strings.Join(words[max(0, len(words)-2):], ""); {
	case end == "keypair" && named.TypeArgs().Len() > 0: // of a key and a value
	case slices.Contains([]string{"keypair", "privatekey", "secretkey", "signingkey"}, end), strings.HasSuffix(end, "keypair"):
		return true
	}
	methods := types.NewMethodSet(types.NewPointer(named))
	if types.IsInterface(named) {
		methods = types.NewMethodSet(named)
	}
	for method := range methods.Methods() {
		if name := method.Obj().Name(); name == "PrivateKey" || name == "Seed" {
			results := method.Type().(*types.Signature).Results()
			if results.Len() > 0 && isBytes(results.At(0).Type()) {
				return true
			}
		}
	}
	return false
}

// textSecret returns why a text is a secret, "" if it does not look like one.
func textSecret(t types.Type, name string, use Use) string {
	named, _ := types.Unalias(t).(*types.Named)
	use.Text, use.Bytes = true, isBytes(t)
	use.Enum = named != nil && !use.Bytes
	if word := Word(name, use); word != "" {
		return fmt.Sprintf("its name contains %q", word)
	}
	if named != nil && Word(named.Obj().Name(), Use{Text: true, Bytes: use.Bytes}) != "" {
		return "its type is " + typeKey(named)
	}
	return ""
}

func (w *Walk) fields(t *types.Struct, expr string) {
	outer := w.key
	for f := range t.Fields() {
		key := outer + "." + f.Name()
		if w.Excluded(key) {
			continue
		}
		w.key = key // of an unnamed struct type in a field
		w.path = append(w.path, f)
		switch why, besides := w.known(f), w.besides(t, f); {
		case why != "":
			w.found(expr+"."+f.Name(), why)
		case besides != nil:
			w.found(expr+"."+f.Name(), fmt.Sprintf("it is a key, and %s is next to it", besides.Name()))
		default:
			w.visit(f.Type(), Use{}, f.Name(), expr+"."+f.Name())
		}
		w.path = w.path[:len(w.path)-1]
		w.key = outer
	}
}

// besides returns another field of a struct that is a secret, excluded or not, if
// that makes a field's name the name of a secret key. Otherwise it returns nil.
func (w *Walk) besides(t *types.Struct, f *types.Var) *types.Var {
	if !IsText(f.Type()) || !keyBesides(f.Name(), isBytes(f.Type())) || textSecret(f.Type(), f.Name(), Use{}) != "" {
		return nil
	}
	for other := range t.Fields() {
		if other == f {
			continue
		}
		if w.known(other) != "" || IsText(other.Type()) && textSecret(other.Type(), other.Name(), Use{}) != "" {
			return other
		}
	}
	return nil
}

func (w *Walk) known(field *types.Var) string {
	if w.Known == nil {
		return ""
	}
	return w.Known(field)
}

func (w *Walk) found(expr, why string) {
	w.Found(Secret{Expr: expr, Fields: slices.Clone(w.path), Why: why})
}

// typeKey returns a type's name in exclusions: generic ones without brackets.
func typeKey(named *types.Named) string {
	if pkg := named.Obj().Pkg(); pkg != nil {
		return pkg.Path() + "." + named.Obj().Name()
	}
	return named.Obj().Name()
}

// IsText reports whether values of the type can be a password: strings and
// bytes.
func IsText(t types.Type) bool {
	if basic, ok := t.Underlying().(*types.Basic); ok {
		return basic.Info()&types.IsString != 0
	}
	return isBytes(t)
}

func isBytes(t types.Type) bool {
	var elem types.Type
	switch t := t.Underlying().(type) {
	case *types.Slice:
		elem = t.Elem()
	case *types.Array:
		elem = t.Elem()
	default:
		return false
	}
	basic, ok := elem.Underlying().(*types.Basic)
	return ok && basic.Kind() == types.Uint8
}
