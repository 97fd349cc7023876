// Package first is initialised before main, and stays there when asked to.
package first

import (
	"os"
	"time"
)

func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		os.Stdout.WriteString("ready\n")
		time.Sleep(time.Hour)
	}
}
