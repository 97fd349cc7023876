// Command demo does the main job end to end and shows it: it builds
// examples/shop, lets it serve under load, has it write a core, opens the core
// in unmodified gdb and Delve, and compares every annotated value with what
// the live program prints. It fails when any differs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/meminspect/meminspect/internal/debuggers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

// load is how long the service works before it is asked for a core.
const load = 3 * time.Second

func run(ctx context.Context, stdout io.Writer) error {
	dir, err := os.MkdirTemp("", "meminspect-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe, core := filepath.Join(dir, "shop"), filepath.Join(dir, "shop.core")

	fmt.Fprintln(stdout, "demo: building examples/shop")
	build := exec.CommandContext(ctx, "go", "build", "-o", exe, "./examples/shop")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building examples/shop: %w\n%s", err, out)
	}
	service, err := startShop(ctx, exe, dir)
	if err != nil {
		return err
	}
	defer service.kill()
	fmt.Fprintf(stdout, "demo: the shop serves %s as process %d; %v of load\n", service.url, service.pid(), load)
	select {
	case <-time.After(load):
	case <-ctx.Done():
		return ctx.Err()
	}

	fmt.Fprintln(stdout, "demo: the load pauses; the shop writes a core of itself")
	if err := service.post(ctx, "/debug/pause"); err != nil {
		return err
	}
	if err := service.post(ctx, "/debug/core?path="+core); err != nil {
		return err
	}
	live, err := service.values(ctx)
	if err != nil {
		return err
	}

	fmt.Fprintln(stdout, "demo: opening the core in gdb and Delve")
	inGDB, err := debuggers.GDBPrint(ctx, exe, core, expressions(live, gdbName)...)
	if err != nil {
		return err
	}
	inDelve, err := debuggers.DelvePrint(ctx, exe, core, expressions(live, delveName)...)
	if err != nil {
		return err
	}
	agree := table(stdout, live, inGDB, inDelve)

	kept := outside(ctx, stdout, service, dir, core)
	fmt.Fprintln(stdout, "demo: the same process as a full core, by gcore and by the kernel")
	sizes, err := fullCores(ctx, service, dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(core)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "demo: %d of %d values agree in gdb and Delve; core %d bytes, %s\n", agree, len(live), info.Size(), sizes)
	if agree != len(live) || agree == 0 {
		return fmt.Errorf("%d of %d values differ", len(live)-agree, len(live))
	}
	return keep(ctx, stdout, kept, exe)
}

// outside captures the shop from outside, with what the core that it wrote of itself lacks:
// the goroutines and what holds the memory. It returns the path of that core, or own where
// captures are not possible.
func outside(ctx context.Context, stdout io.Writer, service *shop, dir, own string) string {
	core := filepath.Join(dir, "outside.core")
	capture := exec.CommandContext(ctx, "go", "run", "./cmd/meminspect", "capture", "--heap", "--quiet", "-o", core, strconv.Itoa(service.pid()))
	printed, _ := capture.CombinedOutput() // fails too if the core is not complete
	if _, err := os.Stat(core); err != nil {
		fmt.Fprintf(stdout, "demo: no capture from outside: %s", printed)
		return own
	}
	return core
}

// keep leaves a core and its page in the working directory, and prints how to open them.
func keep(ctx context.Context, stdout io.Writer, core, exe string) error {
	text, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	if err := os.WriteFile("demo.core", text, 0o600); err != nil {
		return err
	}
	view := exec.CommandContext(ctx, "go", "run", "./cmd/meminspect", "view", "--exe", exe, "--html", "demo.html", "demo.core")
	if out, err := view.CombinedOutput(); err != nil {
		return fmt.Errorf("writing demo.html: %w\n%s", err, out)
	}
	_, err = fmt.Fprint(stdout, `demo: wrote demo.core and demo.html
demo: open demo.html in a browser, or run
demo:   go run ./cmd/meminspect report demo.core
demo:   go run ./cmd/meminspect view demo.core
`)
	return err
}

// table prints a row a variable and returns how many agree in all three.
func table(w io.Writer, live []variable, inGDB, inDelve []string) int {
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows, "VARIABLE\tLIVE\tGDB\tDELVE")
	agree, next := 0, 0
	for _, v := range live {
		var program, gdb, delve []string
		for _, leaf := range v.Leaves {
			program = append(program, leaf.Value)
			gdb = append(gdb, normal(leaf.Kind, inGDB[next]))
			delve = append(delve, normal(leaf.Kind, inDelve[next]))
			next++
		}
		a, b, c := strings.Join(program, " "), strings.Join(gdb, " "), strings.Join(delve, " ")
		if a != "" && b == a && c == a {
			agree++
		} else {
			a += " (differs)"
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\t%s\n", v.short(), clip(a), clip(b), clip(c))
	}
	rows.Flush()
	return agree
}

// clip shortens a cell for the eye; the whole values were compared.
func clip(s string) string {
	const most = 44
	if len(s) <= most {
		return s
	}
	return s[:most/2-1] + " … " + s[len(s)-most/2+1:]
}
