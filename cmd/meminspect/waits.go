package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

func waitsCommand() *cobra.Command {
	var exe string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "waits CORE",
		Short: "Print what goroutines wait for",
		Long: `Print deadlocks, and then the objects for which the goroutines of a core wait, the
most wanted first: channels, with the number of their values and their capacity, mutexes, wait
groups, condition variables, descriptors, such as connections, and system calls. An object has the name of the
annotated variable that leads to it, or else its address. Goroutines that wait for something else,
such as a timer, are listed by their states. The runtime's own
goroutines are left out.

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
				printWaits(cmd.OutOrStdout(), objects, waits.Deadlocks(objects))
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
	return cmd
}

func printWaits(w io.Writer, objects []waits.Object, deadlocks []waits.Deadlock) {
	for i := range deadlocks {
		d := &deadlocks[i]
		fmt.Fprintln(w, deadlockText(d))
		for _, line := range cycleLines(d) {
			fmt.Fprintf(w, "    %s\n", line)
		}
		fmt.Fprintln(w)
	}
	for i := range objects {
		o := &objects[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, objectText(o))
		for _, same := range alike(o.Waiters) {
			fmt.Fprintf(w, "    %s\n", same.text())
		}
		for i := range o.Others {
			fmt.Fprintf(w, "    %s\n", otherText(o, &o.Others[i]))
		}
	}
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
func cycleLines(d *waits.Deadlock) (lines []string) {
	const most = 8
	for i := range d.Cycle {
		if left := len(d.Cycle) - most; left > 0 && i == most/2 {
			lines = append(lines, fmt.Sprintf("… %s more", plural(left, "goroutine")))
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
		line := fmt.Sprintf("goroutine %d %s %s, %s", s.ID, verbs[s.Action], oneLine(name), how)
		if frames := s.Calls(); len(frames) > 0 {
			line += ": " + caller(frames)
		}
		lines = append(lines, line)
	}
	return lines
}

// objectText names an object and gives its state.
func objectText(o *waits.Object) string {
	kind := o.Type()
	name := o.Path
	if name == "" && o.Addr != 0 {
		name = o.Addr.String()
	}
	text := kind
	if name != "" {
		text = name + " (" + kind + ")"
	}
	if state := o.Channel.String(); state != "" {
		text += ", " + state
	}
	if o.Addr != 0 && o.Leaked() {
		text += ", leaked"
	}
	return oneLine(text)
}

// otherText describes a goroutine that may release an object.
func otherText(o *waits.Object, g *waits.Other) string {
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
	text := fmt.Sprintf("goroutine %d %s, %s", g.ID, has, g.State)
	if frames := g.Calls(); len(frames) > 0 {
		text += ": " + caller(frames)
	}
	return text
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
		place := ""
		if frames := w.Calls(); len(frames) > 0 {
			place = caller(frames)
		}
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

func (s *sameWait) text() string {
	who, verb := plural(len(s.group.Goroutines), "goroutine"), string(s.action)
	if len(s.group.Goroutines) == 1 {
		who, verb = fmt.Sprintf("goroutine %d", s.group.Goroutines[0].ID), verb+"s"
		if s.descriptor >= 0 {
			verb += fmt.Sprintf(" (descriptor %d)", s.descriptor)
		}
	}
	if s.inCase {
		verb += " in select"
	}
	return fmt.Sprintf("%s %s%s: %s", who, verb, waitText(&s.group), s.place)
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
