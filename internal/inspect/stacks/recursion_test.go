package stacks

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// stackOf makes a stack: a letter is a call, a dot leaves one out.
func stackOf(calls string) (frames []Frame) {
	for _, c := range calls {
		if c == '.' {
			frames[len(frames)-1].Omitted.Calls++
			continue
		}
		frames = append(frames, Frame{Function: string(c)})
	}
	return frames
}

func TestFold(t *testing.T) {
	for calls, want := range map[string]string{
		"":           "",
		"abc":        "a b c",
		"aab":        "a a b",
		"aaab":       "a (the call above 2 more times) b",
		"xababababy": "x a b (the 2 calls above 3 more times) y",
		"abcabcabca": "a b c (the 3 calls above 2 more times) a",
		"aaaa..aaaa": "a (the call above 3 more times) (2 calls omitted) a (the call above 3 more times)",
		"aba.baba":   "a b a (1 call omitted) b a b a",
		"aaabbb":     "a (the call above 2 more times) b (the call above 2 more times)",
	} {
		var words []string
		for _, f := range FoldFrames(stackOf(calls)) {
			words = append(words, f.Call.Function)
			for _, text := range f.After() {
				words = append(words, "("+text+")")
			}
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: %s, want %s", calls, got, want)
		}
	}
}

// A folded stack can be unfolded to the calls that it was made of.
func TestFoldLosesNothing(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var calls strings.Builder
		for range rng.IntN(12) {
			round := make([]byte, 1+rng.IntN(4))
			for i := range round {
				round[i] = "abc"[rng.IntN(3)]
			}
			calls.WriteString(strings.Repeat(string(round), 1+rng.IntN(6)))
			if rng.IntN(4) == 0 {
				calls.WriteByte('.')
			}
		}
		var got []string
		for _, f := range FoldFrames(stackOf(calls.String())) {
			got = append(got, f.Call.Function)
			round := got[len(got)-f.Round:]
			for range f.More {
				got = append(got, round...)
			}
			for range f.Omitted.Calls {
				got = append(got, ".")
			}
		}
		if text := strings.Join(got, ""); text != calls.String() {
			t.Fatalf("%s is folded to what unfolds to %s", calls.String(), text)
		}
	}
}

// A stack that overflowed is folded in a moment, whatever is in it.
func BenchmarkFold(b *testing.B) {
	const depth = 100_000
	for name, frames := range map[string][]Frame{
		"recursion": stackOf(strings.Repeat("a", depth)),
		"rounds":    stackOf(strings.Repeat("abcdefghijklmnopqrstuvw", depth/23)),
		"none":      nil,
	} {
		if frames == nil {
			for i := range depth {
				frames = append(frames, Frame{Function: fmt.Sprint("function", i), Line: i})
			}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				FoldFrames(frames)
			}
		})
	}
}
