// Command leak is a service with a memory leak, to find it with meminspect heap.
//
// Users log in, look at pages, and log out. The service removes their sessions when
// they log out, and its memory grows all the same. A heap profile shows that login
// allocates the memory, which is what login is for. What keeps the memory is
// something else: docs/how-to/find-a-leak.md walks to it.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

//go:generate go run github.com/meminspect/meminspect/cmd/meminspect generate

// A session is a user who is logged in.
type session struct {
	user   string
	trail  []string          // the pages the user looked at
	basket map[string]int    // articles and their number
	draft  []byte            // an order that is not sent yet
	labels map[string]string // what the templates need
}

// A visit is a line of the list of recent visitors.
type visit struct {
	at   time.Time
	user string
	of   *session
}

// sessions are the users who are logged in, by their number.
//
//meminspect:entry
var sessions = map[int]*session{}

// pages is the cache of rendered pages.
//
//meminspect:entry
var pages = map[string][]byte{}

// recent is the list of recent visitors for the start page, which shows ten.
var recent []visit

// login makes a session.
func login(number int) {
	s := &session{
		user:   fmt.Sprintf("user%d", number%1000),
		basket: map[string]int{},
		draft:  make([]byte, 0, 1024),
		labels: map[string]string{"lang": "en", "theme": fmt.Sprintf("theme%d", number%7)},
	}
	sessions[number] = s
}

// browse has a user look at pages.
func browse(number int) {
	s := sessions[number]
	for i := range 8 {
		page := fmt.Sprintf("/articles/%d", (number*8+i)%500)
		if pages[page] == nil {
			pages[page] = make([]byte, 4<<10)
		}
		s.trail = append(s.trail, page)
		s.basket[page]++
	}
}

// logout ends a session.
func logout(number int) {
	s := sessions[number]
	delete(sessions, number)
	recent = append(recent, visit{time.Now(), s.user, s})
}

func main() {
	visits := flag.Int("visits", 20000, "how many visits to serve before the program waits")
	flag.Parse()
	const loggedIn = 100
	for number := range *visits {
		login(number)
		browse(number)
		if number >= loggedIn {
			logout(number - loggedIn)
		}
	}
	fmt.Println(os.Getpid())
	for number := *visits; ; number++ {
		time.Sleep(10 * time.Millisecond)
		login(number)
		browse(number)
		logout(number - loggedIn)
	}
}
