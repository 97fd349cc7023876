package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A choice is a flag that takes one of a few words.
type choice struct {
	value string
	words []string
}

// choose returns a flag that takes one of words. The first is the default.
func choose(words ...string) choice { return choice{words[0], words} }

func (c *choice) String() string { return c.value }

// Set is pflag.Value's.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("must be %s or %s", strings.Join(c.words[:len(c.words)-1], ", "), c.words[len(c.words)-1])
	}
	c.value = word
	return nil
}

// Type is pflag.Value's.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

// A number is a flag that takes a whole number within bounds.
type number struct {
	value    *int
	min, max int
}

func (n number) String() string { return strconv.Itoa(*n.value) }

// Set is pflag.Value's.
func (n number) Set(text string) error {
	value, err := strconv.Atoi(text)
	if err != nil || value < n.min || value > n.max {
		return fmt.Errorf("must be a number from %d to %d", n.min, n.max)
	}
	*n.value = value
	return nil
}

// Type is pflag.Value's.
func (n number) Type() string { return "number" }
