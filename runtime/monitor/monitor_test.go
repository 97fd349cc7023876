package monitor

import (
	"reflect"
	"slices"
	"testing"
)

func TestFlags(t *testing.T) {
	if line := (&Capture{}).flags(); len(line) > 0 {
		t.Errorf("the zero value sets %q", line)
	}
	c := Capture{
		Stacks: "full", Depth: -1, Budget: "64MiB", RegionBudget: "1MiB", Segments: 5, Include: []string{"main.a", "main.b"}, Symbols: "twin",
		Strict: true, Data: true, Heap: true, Args: true, Labels: true, Tags: map[string]string{"team": "shop", "zone": "a"}, Attach: []string{"app.yaml"}, Pod: "p", Namespace: "ns", Node: "n", Image: "i", Compress: true, Recipients: []string{"age1x", "ssh-ed25519 y z"}, RecipientsFile: "keys",
	}
	want := []string{
		"--stacks=full", "--depth=0", "--budget=64MiB", "--region-budget=1MiB", "--segments=5", "--include=main.a", "--include=main.b", "--symbols=twin",
		"--strict", "--data", "--heap", "--args", "--labels", "--tag=team=shop", "--tag=zone=a", "--attach=app.yaml", "--pod=p", "--namespace=ns", "--node=n", "--image=i", "--compress", "--recipient=age1x", "--recipient=ssh-ed25519 y z", "--recipients-file=keys",
	}
	if line := c.flags(); !slices.Equal(line, want) {
		t.Errorf("%q, want %q", line, want)
	}
	// Each field has its flag: setting it alone changes the command line.
	for i := range reflect.TypeFor[Capture]().NumField() {
		var one Capture
		reflect.ValueOf(&one).Elem().Field(i).Set(reflect.ValueOf(c).Field(i))
		if len(one.flags()) == 0 {
			t.Errorf("%s sets no flag", reflect.TypeFor[Capture]().Field(i).Name)
		}
	}
}
