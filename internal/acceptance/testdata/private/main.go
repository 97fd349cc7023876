// Command private has secrets where programs get them from: its arguments, its
// environment, goroutine labels.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"
)

func main() {
	label := []byte("lebal-")
	for i := 0; i < 12; i++ {
		label = append(label, byte('a'+i*i%26))
	}
	go pprof.Do(context.Background(), pprof.Labels("user", string(label)), func(context.Context) {
		time.Sleep(time.Hour)
	})
	time.Sleep(100 * time.Millisecond)
	// Both have been looked at, as programs do.
	if os.Getenv("PRIVATE_TOKEN") == "" || len(os.Args) < 2 {
		os.Exit(1)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
