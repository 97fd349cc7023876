package value

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type member struct {
	Name  string
	Tags  map[string]int
	Peer  *member
	Score []int
	Inner map[int]*member
	Stats *stats
	At    time.Time
}

type stats struct {
	Hits  atomic.Int64
	On    atomic.Bool
	Last  atomic.Value
	Peer  atomic.Pointer[member]
	Words []struct{ Text string }
}

// What is written while it is read is what a tree of all of it is, in Go syntax and in
// JSON.
func TestStreamIsTree(t *testing.T) {
	shared := &member{Name: "shared", Tags: map[string]int{"a": 1}}
	type everything struct {
		Members map[string]*member
		ByID    map[int]member
		Any     map[any]*member
		List    []*member
		Long    []int
		Equal   []int
		Deep    **member
		Iface   any
		Chan    chan *member
		Shared  *member
	}
	all := &everything{ // not on a stack, which moves when it grows
		Members: map[string]*member{}, ByID: map[int]member{}, Any: map[any]*member{}, Equal: make([]int, 5000),
		Chan: make(chan *member, 2), Shared: shared,
	}
	for i := range 300 {
		m := &member{Name: fmt.Sprint("m", i), Peer: shared, Score: []int{i, i + 1}, Stats: &stats{}, At: time.Unix(int64(i), 0)}
		m.Stats.Hits.Store(int64(i))
		m.Stats.On.Store(i%2 == 0)
		m.Stats.Last.Store(fmt.Sprint("last", i))
		m.Stats.Peer.Store(m)
		m.Stats.Words = []struct{ Text string }{{"a"}, {fmt.Sprint(i)}}
		if i%60 == 0 {
			m.Score = make([]int, 200)
			m.Score[i%200] = i
			m.Inner = map[int]*member{}
			for k := range 150 {
				m.Inner[k] = &member{Name: "inner"}
			}
			m.Inner[3] = m
		}
		all.Members[m.Name], all.ByID[i], all.Any[i] = m, *m, m
		all.List = append(all.List, m)
		all.Long = append(all.Long, i*i)
	}
	all.Any["text"] = shared
	all.Deep = &all.List[5]
	all.Iface = all.List
	all.Chan <- all.List[7]
	p, typ, addr := self(t, all, plain)
	for _, elements := range []int{-1, 150, 10} {
		limits := Limits{Elements: elements}
		place := Place{Addr: addr, Type: typ}
		tree := place.Read(p, limits)
		var text bytes.Buffer
		if err := place.Stream(p, limits).WriteGo(&text, Format{}); err != nil {
			t.Fatal(err)
		}
		same(t, "Go", text.String(), tree.Go())
		text.Reset()
		if err := place.Stream(p, limits).WriteJSON(&text); err != nil {
			t.Fatal(err)
		}
		want, err := tree.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(want) {
			t.Error("not JSON")
		}
		same(t, "JSON", text.String(), string(want))
	}
	runtime.KeepAlive(all)
	kept = all
}

var kept any

// same compares long texts.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("%s of %d and %d bytes differ at %d: %q, want %q (%d lines)", what, len(got), len(want), i, got[max(i-80, 0):min(i+80, len(got))], want[max(i-80, 0):min(i+80, len(want))], strings.Count(want, "\n"))
}
