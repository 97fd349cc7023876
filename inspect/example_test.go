package inspect_test

import (
	"context"
	"fmt"

	"github.com/meminspect/meminspect/inspect"
)

func Example() {
	core, err := inspect.Open("shop.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer core.Close()
	fmt.Println(core.Info().Reason, core.Info().Message)
	for _, name := range core.Var("main.sessions[*].User").All() {
		fmt.Println(name.Path(), name)
	}
}

func ExampleValue_Decode() {
	core, err := inspect.Open("shop.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer core.Close()
	var orders []struct {
		ID    int
		Total float64
	}
	if err := core.Var(`main.sessions["ada"].Orders`).Decode(&orders); err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range orders {
		fmt.Println(o.ID, o.Total)
	}
}

func ExampleAttach() {
	const pid = 4711
	core, err := inspect.Attach(context.Background(), pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer core.Close()
	objects, err := core.Waits()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range objects {
		fmt.Printf("%d goroutines wait for %s %s\n", len(o.Waiters), o.Kind, o.Path)
	}
}

func ExampleCore_Groups() {
	core, err := inspect.Open("shop.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer core.Close()
	groups, err := core.Groups()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range groups {
		fmt.Println(len(g.Goroutines), g.Frames[0].Function, g.Longest)
	}
}

func ExampleCore_Log() {
	core, err := inspect.Open("shop.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer core.Close()
	records, err := core.Log()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range records {
		fmt.Println(r.Time, r.Level, r.Message, r.Attrs)
	}
}

func ExampleCore_Report() {
	core, err := inspect.Open("shop.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer core.Close()
	r := core.Report()
	fmt.Println(r.Info.Signature, r.Info.Message)
	for _, c := range r.Calls {
		fmt.Println(c.Function, c.File, c.Frame.Line, c.Objects)
	}
}

func ExampleDiff() {
	before, err := inspect.Open("before.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer before.Close()
	after, err := inspect.Open("after.core")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer after.Close()
	for _, c := range inspect.Diff(before, after).Changes {
		fmt.Println(c.Path, c.Kind, c.Before, c.After)
	}
}
