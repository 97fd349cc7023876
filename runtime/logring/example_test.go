//go:build !meminspect_off

package logring_test

import (
	"log/slog"
	"os"

	"github.com/meminspect/meminspect/runtime/logring"
)

// One line puts a ring in front of a program's handler.
func ExampleRing_Handler() {
	ring := logring.New(64 << 10)
	defer ring.Close()
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	slog.New(ring.Handler(text)).Info("started", "port", 8080)
	// Output:
	// level=INFO msg=started port=8080
}
