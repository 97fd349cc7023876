package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
)

// hang beats for a while, then stops doing so.
func hang() {
	hb := meminspect.NewHeartbeat("queue", 200*time.Millisecond)
	for range 20 {
		hb.Beat()
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Println("hanging")
	time.Sleep(time.Hour)
}

// stutter misses its beats once and goes on.
func stutter() {
	hb := meminspect.NewHeartbeat("queue", 200*time.Millisecond)
	for i := range 200 {
		hb.Beat()
		time.Sleep(10 * time.Millisecond)
		if i == 50 {
			time.Sleep(time.Second)
		}
	}
	hb.Stop()
}

// beat beats until SIGTERM ends it.
func beat() {
	hb := meminspect.NewHeartbeat("queue", 500*time.Millisecond)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println("ready")
	for {
		hb.Beat()
		select {
		case <-term:
			hb.Stop()
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// restless beats, misses its beat once a second, asks for snapshots and makes
// garbage, for as long as it may live.
func restless() {
	hb := meminspect.NewHeartbeat("queue", 150*time.Millisecond)
	fmt.Println("ready")
	for {
		for range 80 {
			hb.Beat()
			sink = make([]byte, 64<<10)
			counter++
			counter--
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond)
		meminspect.Snapshot("restless")
	}
}
