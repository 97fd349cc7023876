package main

import _ "example.com/program/idle"

// Hello is what a plugin is asked for.
func Hello() string { return greeting }
