package debuginfo

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// attrGoClosureOffset is where in a closure a captured variable is. Go 1.23 and
// later write it.
const attrGoClosureOffset dwarf.Attr = 0x2907

// A Captured is a variable that a function literal has captured.
type Captured struct {
	Offset uint64 // in the closure, which begins with the code pointer
	Type   *gotypes.Type

	// Address is whether the function has the variable's address. Then Type is the
	// pointer's, and the closure may have the variable itself, if that is too large for
	// registers: the debug information is the same for both.
	Address bool
}

// Closures are the layouts of a program's closures. A compilation unit is read
// when one of its functions is asked for.
type Closures struct {
	types *Types
	code  memory.Ranges                 // of the units that were read, in the file
	found map[memory.Address][]Captured // by the function's entry in the file
	named map[string]dwarf.Offset       // see receivers; nil until they are needed
}

// NewClosures returns the closures of a program with these types.
func NewClosures(types *Types) *Closures {
	return &Closures{types: types, found: map[memory.Address][]Captured{}}
}

// Of returns the variables of the function literal with this entry, or none if
// the debug information lacks them.
func (c *Closures) Of(entry memory.Address) ([]Captured, error) {
	pc := entry - c.types.bias
	if !c.code.Has(pc) {
		if err := c.read(pc); err != nil {
			return nil, fmt.Errorf("debug information of the function at %v: %w", entry, err)
		}
	}
	return c.found[pc], nil
}

// MethodValue returns the layout of a method value, from the name of the function that it
// calls. [Closures.Of] has none where the compiler left the method itself out: it inlined
// a short one and described nothing of it. This takes time in proportion to the debug
// information, the first time.
func (c *Closures) MethodValue(function string) (Captured, bool) {
	method, ok := strings.CutSuffix(function, "-fm")
	dot := strings.LastIndexByte(method, '.')
	if !ok || dot < 0 || strings.Contains(method, "[") { // in types, type arguments have other names
		return Captured{}, false
	}
	if c.named == nil {
		c.named = c.types.receivers()
	}
	name := method[:dot]
	if pointed, ok := strings.CutSuffix(name, ")"); ok {
		name = "*" + strings.Replace(pointed, ".(*", ".", 1)
	}
	typ, err := c.types.typeAt(c.named[name])
	if err != nil {
		return Captured{}, false
	}
	return Captured{Offset: memory.PtrSize, Type: typ}, true
}

// read reads the compilation unit with the code at pc.
func (c *Closures) read(pc memory.Address) error {
	r := c.types.data.Reader()
	die, err := r.SeekPC(uint64(pc))
	if errors.Is(err, dwarf.ErrUnknownPC) {
		return nil
	}
	if err != nil {
		return err
	}
	code, err := c.types.data.Ranges(die)
	if err != nil {
		return err
	}
	for _, part := range code {
		c.code = append(c.code, memory.Range{Start: memory.Address(part[0]), End: memory.Address(part[1])})
	}
	c.code = memory.RangesOf(c.code...)
	return c.functions(r)
}

// functions reads the functions of a compilation unit, up to its end.
func (c *Closures) functions(r *dwarf.Reader) error {
	methodValues := map[memory.Address]string{} // names of methods, by the entries of their values' code
	receivers := map[string]dwarf.Offset{}      // types of first parameters, by the names of functions
	for {
		die, err := r.Next()
		if err != nil || die == nil {
			return err
		}
		if die.Tag == 0 {
			break
		}
		if die.Tag != dwarf.TagSubprogram || !die.Children {
			if die.Children {
				r.SkipChildren()
			}
			continue
		}
		vars, first, err := c.variables(r)
		if err != nil {
			return err
		}
		low, _ := die.Val(dwarf.AttrLowpc).(uint64)
		name, _ := die.Val(dwarf.AttrName).(string)
		if method, ok := strings.CutSuffix(name, "-fm"); ok {
			methodValues[memory.Address(low)] = method
		} else if len(vars) > 0 {
			c.found[memory.Address(low)] = vars
		} else if first != 0 {
			receivers[name] = first
		}
	}
	for entry, method := range methodValues {
		if typ, ok := c.receiver(method, receivers[method]); ok {
			c.found[entry] = []Captured{{Offset: memory.PtrSize, Type: typ}}
		}
	}
	return nil
}

// variables reads the variables of one function, up to its end: those that it
// captured, and the type of its first parameter, 0 if it has none.
func (c *Closures) variables(r *dwarf.Reader) (captured []Captured, first dwarf.Offset, err error) {
	for {
		die, err := r.Next()
		if err != nil || die == nil {
			return nil, 0, errors.Join(err, errBreaksOff)
		}
		if die.Tag == 0 {
			slices.SortFunc(captured, func(a, b Captured) int { return cmp.Compare(a.Offset, b.Offset) })
			return captured, first, nil
		}
		if die.Children {
			r.SkipChildren()
		}
		if v, ok := c.captured(die); ok {
			captured = append(captured, v)
		}
		if die.Tag == dwarf.TagFormalParameter && first == 0 {
			first, _ = die.Val(dwarf.AttrType).(dwarf.Offset)
		}
	}
}

// receiver returns the type of the receiver that a method value has, if the
// method's first parameter is one: it has the name that the method's has.
func (c *Closures) receiver(method string, off dwarf.Offset) (*gotypes.Type, bool) {
	if off == 0 {
		return nil, false
	}
	typ, err := c.types.typeAt(off)
	if err != nil {
		return nil, false
	}
	parts := strings.Split(method, ".")
	if len(parts) < 3 { // package, type, method
		return nil, false
	}
	named := strings.Trim(parts[len(parts)-2], "(*)")
	return typ, strings.HasSuffix(typ.String(), "."+named)
}

// captured decodes a captured variable. One whose type is not understood is left
// out: the others are right without it.
func (c *Closures) captured(die *dwarf.Entry) (Captured, bool) {
	offset, ok := die.Val(attrGoClosureOffset).(int64)
	if !ok || offset <= 0 {
		return Captured{}, false
	}
	v := Captured{Offset: uint64(offset)}
	if origin, ok := die.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
		r := c.types.data.Reader()
		r.Seek(origin)
		abstract, err := r.Next()
		if err != nil || abstract == nil {
			return v, true
		}
		die = abstract
	}
	if typ, ok := die.Val(dwarf.AttrType).(dwarf.Offset); ok {
		v.Type, _ = c.types.typeAt(typ)
	}
	// &x is the local variable in which the function keeps the address of x: it loads that
	// from the closure, or calculates it if x itself is in the closure and in no register.
	name, _ := die.Val(dwarf.AttrName).(string)
	v.Address = strings.HasPrefix(name, "&") && v.Type != nil && v.Type.Kind == gotypes.Pointer
	return v, true
}
