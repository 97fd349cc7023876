package inspect

import (
	"encoding"
	"fmt"
	"go/constant"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// A decoder stores values in Go variables.
type decoder struct {
	missing []Missing
	shown   map[shown]reflect.Value // what later pointers may lead to
	under   map[shown]bool          // what is being decoded once more
	root    *value.Value
	targets map[object]*value.Value // what is referred to in root; nil if it was not needed
}

// object is an object of the program.
type object struct {
	addr memory.Address
	typ  string
}

// shown is an object in dst.
type shown struct {
	object
	typ reflect.Type
}

func newDecoder() *decoder {
	return &decoder{shown: map[shown]reflect.Value{}, under: map[shown]bool{}}
}

// objectOf returns what a pointer leads to, or the list, the map or the value that v is.
func objectOf(v *value.Value) object {
	typ := v.Type
	if v.Shape == value.Pointer {
		typ = strings.TrimPrefix(typ, "*")
		if _, elem, ok := strings.Cut(typ, "Pointer["); ok { // an atomic or a weak pointer
			typ = strings.TrimSuffix(elem, "]")
		}
	}
	return object{v.Addr, typ}
}

// target returns the value that shows what v refers to, nil if none does.
func (d *decoder) target(v *value.Value) *value.Value {
	if d.targets == nil {
		d.targets = map[object]*value.Value{}
		d.index(d.root)
	}
	return d.targets[objectOf(v)]
}

// index notes the values in v that others refer to.
func (d *decoder) index(v *value.Value) {
	if v.Referenced {
		d.targets[objectOf(v)] = v
	}
	for _, f := range v.Fields {
		d.index(f.Value)
	}
	for _, e := range v.Elems {
		d.index(e)
	}
	for _, e := range v.Entries {
		d.index(e.Key)
		d.index(e.Value)
	}
	if v.Elem != nil {
		d.index(v.Elem)
	}
}

// results stores what a path leads to.
func (d *decoder) results(v *Value, dst any) error {
	to := reflect.ValueOf(dst)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return errPointer
	}
	to = to.Elem()
	limits := v.core.whole()
	if !v.all {
		return d.tree(v.found[0].Path, v.found[0].Read(v.core.prog, limits), to)
	}
	if to.Kind() != reflect.Slice {
		return fmt.Errorf("a path with [*] leads to several values: use a pointer to a slice, not to %v", to.Type())
	}
	to.Set(reflect.MakeSlice(to.Type(), len(v.found), len(v.found)))
	for i := range v.found {
		if err := d.tree(v.found[i].Path, v.found[i].Read(v.core.prog, limits), to.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// tree stores a value that was read as a whole.
func (d *decoder) tree(path string, v *value.Value, to reflect.Value) error {
	d.root, d.targets = v, nil
	return d.value(path, v, to)
}

// Why a value that refers to another part of the whole is missing.
const (
	containsItself = "it contains itself: the destination must have a pointer in its place"
	notRead        = "its object is in a part of the value that was not read"
)

func (d *decoder) lacks(path, why string) { d.missing = append(d.missing, Missing{path, why}) }

var (
	timeType     = reflect.TypeFor[time.Time]()
	bigType      = reflect.TypeFor[big.Int]()
	floatType    = reflect.TypeFor[big.Float]()
	anyType      = reflect.TypeFor[any]()
	durationType = reflect.TypeFor[time.Duration]()
)

// value stores a value in to, which can be set.
func (d *decoder) value(path string, v *value.Value, to reflect.Value) error {
	for _, note := range v.Notes {
		d.lacks(path, note)
	}
	if v.Absent != "" {
		d.lacks(path, string(v.Absent))
		return nil
	}
	if v.Shape == value.Interface {
		return d.value(path, v.Elem, to)
	}
	if done, err := d.stored(path, v, to); done {
		return err
	}
	switch {
	case to.Type() == timeType || to.Type() == bigType:
		return d.text(v, to)
	case to.Type() == floatType && v.Quoted:
		if prec, ok := v.JSON.(uint); ok { // of the program's number
			to.Addr().Interface().(*big.Float).SetPrec(prec)
		}
		return d.text(v, to)
	case to.Kind() == reflect.Interface && to.NumMethod() == 0:
		plain, err := d.plain(path, v)
		if err == nil && plain != nil {
			to.Set(reflect.ValueOf(plain))
		}
		return err
	case to.Kind() == reflect.Pointer:
		return d.pointer(path, v, to)
	case v.Shape == value.Pointer:
		if v.Elem == nil {
			return d.again(path, v, to)
		}
		return d.value(path, v.Elem, to)
	}
	switch v.Shape {
	case value.Nil:
		to.SetZero()
		return nil
	case value.Literal:
		return d.literal(v, to)
	case value.Text, value.Bytes:
		return d.bytes(v, to)
	case value.Struct:
		return d.structure(path, v, to)
	case value.List, value.Chan:
		return d.list(path, v, to)
	case value.Map:
		return d.mapping(path, v, to)
	}
	return mismatch(v, to)
}

// mismatch is the error about a value that a variable cannot have. Both may be of types
// with the same name.
func mismatch(v *value.Value, to reflect.Value) error {
	switch {
	case to.Kind() == reflect.Chan:
		return fmt.Errorf("a %v cannot be decoded: use a slice for the elements in the buffer of a channel", to.Type())
	case to.Kind() == reflect.Func:
		return fmt.Errorf("a %v cannot be decoded: use an empty interface for the name of a function", to.Type())
	case to.Kind() == reflect.Interface:
		return fmt.Errorf("a %v cannot be decoded: use an empty interface, or a type with the fields of %s", to.Type(), v.Type)
	}
	return fmt.Errorf("%s of the program's type %s cannot be stored in a %v", shapeText(v), v.Type, to.Type())
}

// shapeText describes how a value is in the core.
func shapeText(v *value.Value) string {
	switch v.Shape {
	case value.Text:
		return "a text"
	case value.Bytes:
		return "bytes"
	case value.Struct:
		return "a struct"
	case value.List:
		return "a list"
	case value.Map:
		return "a map"
	case value.Func:
		return "a function"
	case value.Chan:
		return "a channel"
	}
	if numberOf(v) != nil {
		return "a number"
	}
	return "a value"
}

// stored fills variables that only their method Store can set.
func (d *decoder) stored(path string, v *value.Value, to reflect.Value) (done bool, err error) {
	if !to.CanAddr() || to.Kind() != reflect.Struct {
		return false, nil
	}
	store := to.Addr().MethodByName("Store")
	if !store.IsValid() {
		// Locks and the like are of the program, not of the reader.
		return to.Type().PkgPath() == "sync", nil
	}
	t := store.Type()
	switch {
	case t.NumOut() > 0:
		return false, nil
	case t.NumIn() == 1:
		arg := reflect.New(t.In(0)).Elem()
		if err := d.value(path, v, arg); err != nil {
			return true, err
		}
		if arg.Kind() == reflect.Interface && arg.IsNil() { // atomic.Value stores no nil
			return true, nil
		}
		store.Call([]reflect.Value{arg})
		return true, nil
	case t.NumIn() == 2 && v.Shape == value.Map:
		for i, e := range v.Entries {
			key, val := reflect.New(t.In(0)).Elem(), reflect.New(t.In(1)).Elem()
			at := entryPath(path, i, e.Key)
			if err := d.value(at, e.Key, key); err != nil {
				return true, err
			}
			if err := d.value(at, e.Value, val); err != nil {
				return true, err
			}
			if !key.Comparable() {
				return true, unhashable(at, key)
			}
			store.Call([]reflect.Value{key, val})
		}
		d.omitted(path, v)
		return true, nil
	}
	return false, nil
}

func (d *decoder) omitted(path string, v *value.Value) {
	if v.Omitted > 0 {
		d.lacks(path, fmt.Sprintf("%d elements: limit reached", v.Omitted))
	}
}

// remember notes what later pointers, slices and maps like v lead to.
func (d *decoder) remember(v *value.Value, to reflect.Value) {
	if v.Referenced {
		copied := reflect.New(to.Type()).Elem()
		copied.Set(to)
		d.shown[shown{objectOf(v), to.Type()}] = copied
	}
}

// again stores what was stored before. An object that is in another part of the value, of
// another type in the destination, is decoded once more: once for each type.
func (d *decoder) again(path string, v *value.Value, to reflect.Value) error {
	key := shown{objectOf(v), to.Type()}
	if first, ok := d.shown[key]; ok {
		to.Set(first)
		return nil
	}
	target := d.target(v)
	switch {
	case target == nil || target.BackRef:
		d.lacks(path, notRead)
		return nil
	case d.under[key]:
		d.lacks(path, containsItself)
		return nil
	}
	d.under[key] = true
	defer delete(d.under, key)
	if err := d.value(path, target, to); err != nil {
		return err
	}
	copied := reflect.New(to.Type()).Elem()
	copied.Set(to)
	d.shown[key] = copied
	return nil
}

func (d *decoder) pointer(path string, v *value.Value, to reflect.Value) error {
	elem := v
	if v.Shape == value.Pointer {
		if elem = v.Elem; v.BackRef || elem == nil {
			return d.again(path, v, to)
		}
	}
	if v.Shape == value.Nil {
		to.SetZero()
		return nil
	}
	made := reflect.New(to.Type().Elem())
	to.Set(made)
	d.remember(v, to) // a pointer refers to its target by the same address
	return d.value(path, elem, made.Elem())
}

// literal stores a boolean, a number, or what has a text.
func (d *decoder) literal(v *value.Value, to reflect.Value) error {
	switch to.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(v.Text)
		if err != nil {
			return mismatch(v, to)
		}
		to.SetBool(b)
		return nil
	case reflect.Complex64, reflect.Complex128:
		c, ok := complexOf(v)
		if !ok || to.OverflowComplex(c) {
			return mismatch(v, to)
		}
		to.SetComplex(c)
		return nil
	case reflect.Float32, reflect.Float64:
		f, ok := floatOf(v)
		if !ok {
			return mismatch(v, to)
		}
		to.SetFloat(f)
		return nil
	case reflect.String:
		if text, ok := v.JSON.(string); ok && numberOf(v) == nil {
			to.SetString(text)
			return nil
		}
		return mismatch(v, to)
	}
	n := numberOf(v)
	if n == nil {
		return d.text(v, to)
	}
	if to.CanInt() {
		i, exact := constant.Int64Val(constant.ToInt(n))
		if !exact || to.OverflowInt(i) {
			return fmt.Errorf("%s does not fit into a %v", v.Text, to.Type())
		}
		to.SetInt(i)
		return nil
	}
	if to.CanUint() {
		u, exact := constant.Uint64Val(constant.ToInt(n))
		if !exact || to.OverflowUint(u) {
			return fmt.Errorf("%s does not fit into a %v", v.Text, to.Type())
		}
		to.SetUint(u)
		return nil
	}
	return d.text(v, to)
}

// numberOf returns the number that a literal is, nil if it is not a number.
func numberOf(v *value.Value) constant.Value {
	if v.Shape != value.Literal {
		return nil
	}
	n := value.Number(v.Text)
	if n == nil || n.Kind() != constant.Int && n.Kind() != constant.Float {
		return nil
	}
	return n
}

func floatOf(v *value.Value) (float64, bool) {
	switch text := fmt.Sprint(v.JSON); text {
	case "NaN", "+Inf", "-Inf":
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil
	case "-0":
		return math.Copysign(0, -1), true
	}
	if n := numberOf(v); n != nil {
		f, _ := constant.Float64Val(n)
		return f, true
	}
	return 0, false
}

func complexOf(v *value.Value) (complex128, bool) {
	parts, ok := v.JSON.([]string)
	if !ok || len(parts) != 2 {
		f, ok := floatOf(v)
		return complex(f, 0), ok
	}
	re, err1 := strconv.ParseFloat(parts[0], 64)
	im, err2 := strconv.ParseFloat(parts[1], 64)
	return complex(re, im), err1 == nil && err2 == nil
}

// text stores what has a text that its type can parse: times, large numbers, addresses.
func (d *decoder) text(v *value.Value, to reflect.Value) error {
	text, ok := v.JSON.(string)
	if v.Quoted || v.Shape == value.Text {
		text, ok = v.Text, true
	}
	if !ok || !to.CanAddr() {
		return mismatch(v, to)
	}
	if to.Type() == durationType {
		t, err := time.ParseDuration(text)
		if err != nil {
			return mismatch(v, to)
		}
		to.SetInt(int64(t))
		return nil
	}
	parser, ok := to.Addr().Interface().(encoding.TextUnmarshaler)
	if !ok {
		return mismatch(v, to)
	}
	return parser.UnmarshalText([]byte(text))
}

// bytes stores a string or bytes.
func (d *decoder) bytes(v *value.Value, to reflect.Value) error {
	if v.Omitted > 0 {
		return fmt.Errorf("it has %d bytes more than can be read", v.Omitted)
	}
	switch {
	case to.Kind() == reflect.String:
		to.SetString(v.Text)
		return nil
	case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8:
		to.SetBytes([]byte(v.Text))
		return nil
	case to.Kind() == reflect.Array && to.Type().Elem().Kind() == reflect.Uint8 && to.Len() == len(v.Text):
		reflect.Copy(to, reflect.ValueOf([]byte(v.Text)))
		return nil
	}
	return d.text(v, to)
}

func (d *decoder) list(path string, v *value.Value, to reflect.Value) error {
	if v.BackRef {
		return d.again(path, v, to)
	}
	switch to.Kind() {
	case reflect.Slice:
		to.Set(reflect.MakeSlice(to.Type(), len(v.Elems), len(v.Elems)))
		d.remember(v, to)
	case reflect.Array:
		if to.Len() != len(v.Elems) {
			return fmt.Errorf("%d elements do not fit into a %v", len(v.Elems), to.Type())
		}
	default:
		return mismatch(v, to)
	}
	for i, e := range v.Elems {
		if err := d.value(path+"["+strconv.Itoa(i)+"]", e, to.Index(i)); err != nil {
			return err
		}
	}
	d.omitted(path, v)
	return nil
}

func (d *decoder) mapping(path string, v *value.Value, to reflect.Value) error {
	if v.BackRef {
		return d.again(path, v, to)
	}
	if to.Kind() != reflect.Map {
		return mismatch(v, to)
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(v.Entries)))
	d.remember(v, to)
	for i, e := range v.Entries {
		key, val := reflect.New(to.Type().Key()).Elem(), reflect.New(to.Type().Elem()).Elem()
		at := entryPath(path, i, e.Key)
		before := len(d.missing)
		if err := d.value(at, e.Key, key); err != nil {
			return err
		}
		if len(d.missing) > before { // it would be under a wrong key
			continue
		}
		if !key.Comparable() {
			return unhashable(at, key)
		}
		if err := d.value(at, e.Value, val); err != nil {
			return err
		}
		to.SetMapIndex(key, val)
	}
	d.omitted(path, v)
	return nil
}

// unhashable is the error about a key that no map of Go can have: a struct in an empty
// interface is decoded to a map.
func unhashable(path string, key reflect.Value) error {
	for key.Kind() == reflect.Interface {
		key = key.Elem()
	}
	return fmt.Errorf("%s: its key is decoded to a %v, which cannot be a key of a map: decode into a map whose keys are of a struct type of your own", path, key.Type())
}

// entryPath is the path of the entry of a map.
func entryPath(path string, i int, key *value.Value) string {
	if key.Shape == value.Literal || key.Shape == value.Text {
		return path + "[" + key.Go() + "]"
	}
	return path + "[entry " + strconv.Itoa(i) + "]"
}

func (d *decoder) structure(path string, v *value.Value, to reflect.Value) error {
	if to.Kind() == reflect.Map {
		return d.fieldsMap(path, v, to)
	}
	if to.Kind() != reflect.Struct {
		return mismatch(v, to)
	}
	t := to.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Name
		if tag, ok := f.Tag.Lookup("meminspect"); ok {
			name = tag
		}
		if name == "-" || name == "_" {
			continue
		}
		field := fieldOf(v, name)
		if field == nil {
			return fmt.Errorf("the program's type %s has no field %s: a tag `meminspect:\"name\"` names another, `meminspect:\"-\"` none", v.Type, name)
		}
		into := to.Field(i)
		if !f.IsExported() {
			// The reader's own type may be the program's, whose fields only its package sets.
			into = reflect.NewAt(f.Type, into.Addr().UnsafePointer()).Elem()
		}
		if err := d.value(path+"."+name, field, into); err != nil {
			return fmt.Errorf("%s: %w", path+"."+name, err)
		}
	}
	return nil
}

// fieldsMap stores the fields of a struct in a map by their names.
func (d *decoder) fieldsMap(path string, v *value.Value, to reflect.Value) error {
	t := to.Type()
	if t.Key().Kind() != reflect.String {
		return mismatch(v, to)
	}
	to.Set(reflect.MakeMapWithSize(t, len(v.Fields)))
	for _, f := range v.Fields {
		val := reflect.New(t.Elem()).Elem()
		if err := d.value(path+"."+f.Name, f.Value, val); err != nil {
			return err
		}
		to.SetMapIndex(reflect.ValueOf(f.Name).Convert(t.Key()), val)
	}
	return nil
}

// fieldOf finds a field by its name, else without regard to case.
func fieldOf(v *value.Value, name string) *value.Value {
	var found *value.Value
	for _, f := range v.Fields {
		if f.Name == name {
			return f.Value
		}
		if found == nil && strings.EqualFold(f.Name, name) {
			found = f.Value
		}
	}
	return found
}

// plain returns a value as an empty interface holds it.
func (d *decoder) plain(path string, v *value.Value) (any, error) {
	switch v.Shape {
	case value.Nil:
		return nil, nil
	case value.Text:
		return v.Text, nil
	case value.Bytes:
		return []byte(v.Text), nil
	case value.Literal:
		return plainLiteral(v), nil
	case value.Func:
		return v.Func.Name, nil
	}
	store := func(to any) (any, error) {
		err := d.value(path, v, reflect.ValueOf(to).Elem())
		return reflect.ValueOf(to).Elem().Interface(), err
	}
	switch v.Shape {
	case value.Struct:
		return store(new(map[string]any))
	case value.List, value.Chan:
		return store(new([]any))
	case value.Map:
		for _, e := range v.Entries {
			if e.Key.Shape != value.Text {
				return store(new(map[any]any))
			}
		}
		return store(new(map[string]any))
	case value.Pointer:
		return d.plainTarget(path, v)
	}
	return nil, fmt.Errorf("a %s cannot be stored in an empty interface", v.Type)
}

// plainTarget returns what a pointer leads to as an empty interface holds it, the same for
// all pointers to an object.
func (d *decoder) plainTarget(path string, v *value.Value) (got any, err error) {
	key := shown{objectOf(v), anyType}
	if first, ok := d.shown[key]; ok {
		return first.Interface(), nil
	}
	target := v
	if v.Elem == nil || v.BackRef {
		target = d.target(v)
	}
	if target != nil && target.Shape == value.Pointer {
		target = target.Elem
	}
	switch {
	case target == nil:
		d.lacks(path, notRead)
		return nil, nil
	case d.under[key]:
		d.lacks(path, containsItself)
		return nil, nil
	}
	d.under[key] = true
	defer delete(d.under, key)
	to := reflect.ValueOf(&got).Elem()
	if err = d.value(path, target, to); err == nil && (v.BackRef || v.Referenced) {
		d.shown[key] = to
	}
	return got, err
}

func plainLiteral(v *value.Value) any {
	switch v.Text {
	case "true":
		return true
	case "false":
		return false
	}
	if f, ok := floatOf(v); ok && strings.Contains(v.Type, "float") {
		return f
	}
	if n := numberOf(v); n != nil {
		if i, exact := constant.Int64Val(constant.ToInt(n)); exact && !strings.HasPrefix(v.Type, "uint") {
			return i
		}
		if u, exact := constant.Uint64Val(constant.ToInt(n)); exact {
			return u
		}
		f, _ := constant.Float64Val(n)
		return f
	}
	if c, ok := complexOf(v); ok {
		return c
	}
	if text, ok := v.JSON.(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil && v.Type == "time.Time" {
			return t
		}
		return text
	}
	return v.Text
}
