package page

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// maxNodes bounds the values of a page: a browser keeps them all in memory.
const maxNodes = 300_000

// A region is a region and its value.
type region struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Size    string   `json:"size"`
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
	Value   *node    `json:"value"`
}

// A node is a value. Its path is that of the node above it and its step.
type node struct {
	Step     string  `json:"n,omitempty"` // .Field, [3] or ["key"]; "" below a pointer or an interface
	Type     int     `json:"t"`
	Text     string  `json:"v,omitempty"` // Go source, of what has nothing below it
	Missing  string  `json:"m,omitempty"` // why there is nothing to show
	Address  string  `json:"a,omitempty"` // of what a Ref refers to
	Ref      string  `json:"r,omitempty"` // address of the value that is shown elsewhere in the region
	Note     string  `json:"o,omitempty"`
	Count    int     `json:"l,omitempty"` // elements or entries, of a list or a map
	Children []*node `json:"c,omitempty"`
}

func (b *builder) regions(p *inspect.Program) []region {
	out := []region{}
	left := maxNodes
	for i := range p.Core.Regions {
		r := &p.Core.Regions[i]
		if !value.OfProgram(r) {
			continue
		}
		t := tree{builder: b, left: &left}
		out = append(out, region{
			Name: value.Label(r, p.Core.MainPath()), Address: "0x" + strconv.FormatUint(r.Addr, 16), Size: strconv.FormatUint(r.Size, 10),
			Status: r.Status.Word(), Reasons: r.Status.Reasons(), Value: t.root(p, r),
		})
	}
	return out
}

// A tree makes the nodes of one region.
type tree struct {
	*builder
	left *int // nodes of the page
}

func (t *tree) root(p *inspect.Program, r *note.Region) *node {
	if *t.left <= 0 {
		return &node{Type: t.index(r.Type), Missing: limited}
	}
	return t.node("", value.Region(p, r, value.Limits{Values: *t.left, Constants: true}))
}

// limited is why a page does not have a value that the core has.
const limited = "not on this page, which has its most values: meminspect print shows it"

func (t *tree) node(step string, v *value.Value) *node {
	*t.left--
	n := &node{Step: step, Type: t.index(v.Type)}
	n.Note = strings.Join(v.Notes, "; ")
	if v.Referenced {
		n.Address = v.Addr.String()
	}
	switch {
	case v.Absent != "" && step == "" && v.Addr != 0: // the target of a pointer
		n.Missing = string(v.Absent) + ", at " + v.Addr.String()
	case v.Absent != "":
		n.Missing = string(v.Absent)
	case *t.left <= 0:
		n.Missing = limited
	case v.BackRef:
		n.Ref = v.Addr.String()
	default:
		t.below(n, v)
	}
	return n
}

// below adds what is below a value, or its text if nothing is.
func (t *tree) below(n *node, v *value.Value) {
	add := func(step string, v *value.Value) { n.Children = append(n.Children, t.node(step, v)) }
	switch v.Shape {
	case value.Struct:
		for _, f := range v.Fields {
			add("."+f.Name, f.Value)
		}
	case value.List, value.Chan:
		for i, e := range v.Elems {
			add("["+strconv.Itoa(i)+"]", e)
		}
		n.Count = len(v.Elems) + int(v.Omitted)
	case value.Map:
		for _, e := range v.Entries {
			add("["+e.KeyText()+"]", e.Value)
		}
		n.Count = len(v.Entries) + int(v.Omitted)
	case value.Pointer, value.Interface:
		if v.Elem != nil {
			add("", v.Elem)
			return
		}
		n.Text = v.Line()
	default:
		leaf := *v
		leaf.Notes = nil // they are in the node's note
		n.Text = leaf.Line()
		if meaning := v.Meaning(); meaning != "" {
			n.Note = strings.Join(append([]string{meaning}, v.Notes...), "; ")
		}
		return
	}
	n.Note = strings.Join(slices.Concat(v.State, v.Notes), "; ")
	if v.Omitted > 0 {
		n.Children = append(n.Children, &node{Type: t.index(""), Missing: strconv.FormatUint(v.Omitted, 10) + " more: meminspect print --elements -1 shows them"})
	}
}
