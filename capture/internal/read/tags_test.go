package read

import (
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/request"
)

func TestTagsWithoutExcluded(t *testing.T) {
	tags := []tables.Tag{{Key: "tenant", Value: "blue"}, {Key: "token", Value: "Bearer hunter2hunter2"}, {Key: "pin", Value: "4711"}}
	if got := withoutExcluded(tags, nil); !slices.Equal(got, tags) {
		t.Errorf("no exclusions: %q", got)
	}
	password := request.ExcludedValue{Data: []byte("hunter2hunter2"), Reached: true}
	pin := request.ExcludedValue{Data: []byte("4711"), Reached: true}
	for name, c := range map[string]struct {
		excluded request.Excluded
		want     []string
	}{
		"values":  {request.Excluded{Values: []request.ExcludedValue{password, pin}}, []string{"blue", "Bearer [redacted]", "[redacted]"}},
		"short":   {request.Excluded{Values: []request.ExcludedValue{{Data: []byte("abc"), Reached: true}}}, []string{"[redacted]", "[redacted]", "[redacted]"}},
		"partial": {request.Excluded{Partial: true}, []string{"[redacted]", "[redacted]", "[redacted]"}},
	} {
		var got []string
		for _, tag := range withoutExcluded(tags, &c.excluded) {
			got = append(got, tag.Value)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
