package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

func waitsCommand() *cobra.Command {
	var exe string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "waits CORE",
		Short: "Print what goroutines wait for",
		Long: `Print deadlocks, and then the objects for which the goroutines of a core wait, the
most wanted first: channels, with the number of their values and their capacity, mutexes, wait
groups, condition variables, descriptors, such as connections, and system calls. An object has the name of the
annotated variable that leads to it, or else its address. Goroutines that wait for something else,
such as a timer, are listed by their states. The runtime's own
goroutines are left out. Objects without a name that are alike, for which goroutines wait at
the same places, are listed once: --all and --json list each of them.

The runtime does not record which goroutine holds a lock, or will send on a
channel. Goroutines that may are listed after the waiters. One that has to unlock a lock
has deferred that, so it usually holds the lock. Others are in a function whose code uses
the object, a package variable, or have a pointer to it on their stacks, or to a struct
that contains it: one of them may be the one. Skeleton stacks have no pointers to what is
not in the core.

A deadlock is a cycle of goroutines: a deferred call of each one unlocks the lock, or
counts down the wait group, for which the one before it waits. It is a possible deadlock
if all goroutines that use the object or have a pointer to it wait for each other, or if a
function that waits to lock has deferred an RUnlock of the same lock.

A core that was captured with --heap shows which goroutines wait for ever: neither
a variable nor a goroutine that may run leads to the object. It is then leaked.

A goroutine in a select statement is listed with each of its channels. The
objects of package sync are known for programs built with Go 1.26 and later; for
older ones only the kind is printed.`,
		Example: `  meminspect waits hang.core
  meminspect waits --json hang.core`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			prog, closeAll, err := openProgram(cmd, args[0], exe)
			if err != nil {
				return fmt.Errorf("waits: %w", err)
			}
			defer closeAll()
			list, missing, err := stacks.Read(prog)
			warn(cmd, prog)
			if err != nil {
				return fmt.Errorf("waits: %s: %w", args[0], err)
			}
			objects, err := waits.Read(prog, list)
			if err != nil {
				return fmt.Errorf("waits: %s: %w", args[0], err)
			}
			if asJSON {
				err = printWaitsJSON(cmd.OutOrStdout(), objects)
			} else {
				sets := waits.Alike(objects)
				if all {
					sets = waits.Each(objects)
				}
				printWaits(cmd.OutOrStdout(), sets, waits.Deadlocks(objects))
			}
			if err == nil && missing > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: waits: %s more are not in the core\n", plural(missing, "goroutine"))
				return &exitError{status: exitPartial}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&exe, "exe", "", "the executable of the captured program")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&all, "all", false, "list each object, also those that are alike")
	return cmd
}

func printWaits(w io.Writer, sets []waits.Set, deadlocks []waits.Deadlock) {
	for i := range deadlocks {
		d := &deadlocks[i]
		fmt.Fprintln(w, deadlockText(d))
		for _, line := range cycleLines(d) {
			fmt.Fprintf(w, "    %s\n", line)
		}
		fmt.Fprintln(w)
	}
	for i, s := range sets {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, setText(s))
		for _, line := range append(waiterLines(s), otherLines(s)...) {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
}

// A placedLine is a line that ends with a place in the source, "" if that is not known.
type placedLine struct{ text, place string }

func (l placedLine) String() string {
	if l.place == "" {
		return l.text
	}
	return l.text + ": " + l.place
}

// callerOf writes the frame that names the stack of a goroutine, "" if it has none.
func callerOf(g *stacks.Goroutine) string {
	if frames := g.Calls(); len(frames) > 0 {
		return caller(frames)
	}
	return ""
}

// deadlockCounts returns how many deadlocks are certain and how many are possible, "" for
// none.
func deadlockCounts(deadlocks []waits.Deadlock) string {
	certain := 0
	for i := range deadlocks {
		if deadlocks[i].Certain {
			certain++
		}
	}
	var counts []string
	if certain > 0 {
		counts = append(counts, plural(certain, "deadlock"))
	}
	if possible := len(deadlocks) - certain; possible > 0 {
		counts = append(counts, plural(possible, "possible deadlock"))
	}
	return strings.Join(counts, " and ")
}

// deadlockText describes a deadlock.
func deadlockText(d *waits.Deadlock) string {
	text := "deadlock of " + plural(d.Members, "goroutine")
	if !d.Certain {
		text = "possible " + text
	}
	switch {
	case d.Blocked == 1:
		text += ", 1 more waits for them"
	case d.Blocked > 1:
		text += fmt.Sprintf(", %d more wait for them", d.Blocked)
	}
	return text
}

// verbs are what a goroutine does that waits for an object.
var verbs = map[waits.Action]string{
	waits.Send: "sends on", waits.Receive: "receives from", waits.Lock: "locks", waits.ReadLock: "read-locks", waits.Wait: "waits for",
}

// cycleLines describe the cycle of a deadlock: a line for each goroutine, or for those at
// both ends.
func cycleLines(d *waits.Deadlock) (lines []placedLine) {
	const most = 8
	for i := range d.Cycle {
		if left := len(d.Cycle) - most; left > 0 && i == most/2 {
			lines = append(lines, placedLine{text: fmt.Sprintf("… %s more", plural(left, "goroutine"))})
		}
		if left := len(d.Cycle) - most; left > 0 && i >= most/2 && i < most/2+left {
			continue
		}
		s := &d.Cycle[i]
		after := &d.Cycle[(i+1)%len(d.Cycle)]
		who, itself := fmt.Sprintf("goroutine %d", after.ID), ""
		if len(d.Cycle) == 1 {
			who, itself = "it", " itself"
		}
		how := "which " + who + " may release" + itself
		switch {
		case s.Deferred && s.Object.Lock():
			how = "which " + who + " has to unlock" + itself
		case s.Deferred:
			how = "which " + who + " has to count down" + itself
		case s.Upgrades:
			how = "which " + who + " may have read-locked" + itself
		}
		name := s.Object.Path
		if name == "" {
			name = s.Object.Addr.String() + " (" + s.Object.Type() + ")"
		}
		lines = append(lines, placedLine{fmt.Sprintf("goroutine %d %s %s, %s", s.ID, verbs[s.Action], oneLine(name), how), callerOf(s.Goroutine)})
	}
	return lines
}

// setText names the objects of a set and gives their state.
func setText(s waits.Set) string {
	o := s[0]
	kind := o.Type()
	name := o.Path
	switch {
	case len(s) > 1 && o.Channel != nil:
		name = plural(len(s), "channel")
	case len(s) > 1 && o.Lock():
		name = plural(len(s), "lock")
	case len(s) > 1:
		name = plural(len(s), "object")
	case name == "" && o.Addr != 0:
		name = o.Addr.String()
	}
	text := kind
	if name != "" {
		text = name + " (" + kind + ")"
	}
	if state := s.State(); state != "" {
		text += ", " + state
	}
	if o.Addr != 0 && o.Leaked() {
		text += ", leaked"
	}
	return oneLine(text)
}

// waiterLines describe the goroutines that wait for the objects of a set.
func waiterLines(s waits.Set) (lines []placedLine) {
	for _, same := range alike(s.Waiters()) {
		lines = append(lines, placedLine{same.text(len(s)), same.place})
	}
	return lines
}

// otherLines describe the goroutines that may release the objects of a set.
func otherLines(s waits.Set) (lines []placedLine) {
	o := s[0]
	for i := range o.Others {
		g := &o.Others[i]
		who := fmt.Sprintf("goroutine %d", g.ID)
		if slices.ContainsFunc(s, func(o *waits.Object) bool { return o.Others[i].ID != g.ID }) {
			who = "1 goroutine each"
		}
		has := "has a pointer to it"
		if g.Uses != "" {
			has = "is in " + oneLine(shortFunction(g.Uses)) + ", which uses it"
		}
		switch {
		case g.Deferred && o.Lock():
			has = "has to unlock it"
		case g.Deferred:
			has = "has to count it down"
		case g.Upgrades:
			has = "may have read-locked it"
		}
		lines = append(lines, placedLine{fmt.Sprintf("%s %s, %s", who, has, g.State), callerOf(g.Goroutine)})
	}
	return lines
}

// A sameWait is goroutines that wait for an object at the same place.
type sameWait struct {
	action     waits.Action
	inCase     bool
	place      string
	group      stacks.Group
	descriptor int // of the only one, -1 if it waits for none
}

// alike groups the goroutines that wait for an object.
func alike(waiters []waits.Waiter) []*sameWait {
	var out []*sameWait
	index := map[string]*sameWait{}
	for _, w := range waiters {
		place := callerOf(w.Goroutine)
		key := fmt.Sprint(w.Action, w.Select, place)
		same := index[key]
		if same == nil {
			same = &sameWait{action: w.Action, inCase: w.Select, place: place, descriptor: w.Descriptor}
			index[key] = same
			out = append(out, same)
		}
		same.group.Goroutines = append(same.group.Goroutines, w.Goroutine)
	}
	return out
}

// caller writes the frame that names a stack.
func caller(frames []stacks.Frame) string {
	f := stacks.Caller(frames)
	return fmt.Sprintf("%s  %s:%d", shortFunction(f.Function), shortFile(f.File), f.Line)
}

// text describes the goroutines, which wait for so many objects.
func (s *sameWait) text(objects int) string {
	n := len(s.group.Goroutines) / objects
	who, verb := plural(n, "goroutine"), string(s.action)
	if n == 1 {
		verb += "s"
	}
	switch {
	case objects > 1:
		who += " each"
	case n == 1:
		who = fmt.Sprintf("goroutine %d", s.group.Goroutines[0].ID)
		if s.descriptor >= 0 {
			verb += fmt.Sprintf(" (descriptor %d)", s.descriptor)
		}
	}
	if s.inCase {
		verb += " in select"
	}
	return who + " " + verb + waitText(&s.group)
}

// waitJSON is an object as --json prints it.
type waitJSON struct {
	Kind    string       `json:"kind"`
	Address address      `json:"address,omitempty"`
	Path    string       `json:"path,omitempty"`
	Channel *channelJSON `json:"channel,omitempty"`
	Waiters []waiterJSON `json:"waiters"`
	Others  []otherJSON  `json:"others,omitempty"`
	Leaked  bool         `json:"leaked,omitempty"`
}

// otherJSON is a goroutine that may release the object.
type otherJSON struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Deferred bool   `json:"deferred,omitempty"`
	Uses     string `json:"uses,omitempty"`
	Upgrades bool   `json:"upgrades,omitempty"`
}

// deadlockJSON is a deadlock as --json prints it.
type deadlockJSON struct {
	Certain bool       `json:"certain,omitempty"`
	Members int        `json:"members"`
	Blocked int        `json:"blocked,omitempty"`
	Cycle   []stepJSON `json:"cycle"`
}

type stepJSON struct {
	ID       string       `json:"id"`
	Action   waits.Action `json:"action"`
	Kind     string       `json:"kind"`
	Address  address      `json:"address"`
	Path     string       `json:"path,omitempty"`
	Deferred bool         `json:"deferred,omitempty"`
}

func deadlockOf(d *waits.Deadlock) deadlockJSON {
	out := deadlockJSON{Certain: d.Certain, Members: d.Members, Blocked: d.Blocked}
	for i := range d.Cycle {
		s := &d.Cycle[i]
		out.Cycle = append(out.Cycle, stepJSON{strconv.FormatUint(s.ID, 10), s.Action, s.Object.Kind, address(s.Object.Addr), s.Object.Path, s.Deferred})
	}
	return out
}

type channelJSON struct {
	Elem     string           `json:"elem"`
	Len      uint64           `json:"len,string"`
	Cap      uint64           `json:"cap,string"`
	Closed   bool             `json:"closed,omitempty"`
	Redacted bool             `json:"redacted,omitempty"`
	Left     duration.Seconds `json:"left,omitempty"`
}

type waiterJSON struct {
	ID         string           `json:"id"`
	Action     waits.Action     `json:"action"`
	Select     bool             `json:"select,omitempty"`
	Descriptor string           `json:"descriptor,omitempty"`
	Waited     duration.Seconds `json:"waited,omitempty"`
	Left       duration.Seconds `json:"left,omitempty"`
}

func waitOf(o *waits.Object) waitJSON {
	out := waitJSON{Kind: o.Kind, Address: address(o.Addr), Path: o.Path, Leaked: o.Leaked()}
	if c := o.Channel; c != nil {
		out.Channel = &channelJSON{c.Elem, c.Len, c.Cap, c.Closed, c.Redacted, duration.Seconds(c.Left)}
	}
	for _, waiter := range o.Waiters {
		made := waiterJSON{ID: strconv.FormatUint(waiter.ID, 10), Action: waiter.Action, Select: waiter.Select, Waited: duration.Seconds(waiter.Waited), Left: duration.Seconds(waiter.Left)}
		if waiter.Descriptor >= 0 {
			made.Descriptor = strconv.Itoa(waiter.Descriptor)
		}
		out.Waiters = append(out.Waiters, made)
	}
	for _, g := range o.Others {
		out.Others = append(out.Others, otherJSON{strconv.FormatUint(g.ID, 10), g.State, g.Deferred, g.Uses, g.Upgrades})
	}
	return out
}

func printWaitsJSON(w io.Writer, objects []waits.Object) error {
	enc := jsonLines(w)
	for _, d := range waits.Deadlocks(objects) {
		if err := enc.Encode(map[string]deadlockJSON{"deadlock": deadlockOf(&d)}); err != nil {
			return err
		}
	}
	for i := range objects {
		if err := enc.Encode(waitOf(&objects[i])); err != nil {
			return err
		}
	}
	return nil
}
