// Command demo does the main job end to end and shows it. A service hangs, and the report
// of its core has the cause. Then it lets examples/shop serve under load and write a core,
// opens the core in unmodified gdb and Delve, and compares every annotated value with
// what the live program prints. It fails when any differs. It leaves the core of the hang,
// and its page.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
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

// supervised reports whether meminspect run works here.
const supervised = runtime.GOOS == "linux"

// load is how long the service works before it is asked for a core.
const load = 3 * time.Second

func run(ctx context.Context, stdout io.Writer) error {
	dir, err := os.MkdirTemp("", "meminspect-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tool, exe, core := filepath.Join(dir, "meminspect"), filepath.Join(dir, "shop"), filepath.Join(dir, "shop.core")
	fmt.Fprintln(stdout, "demo: building meminspect and the examples")
	if err := build(ctx, tool, "./cmd/meminspect"); err != nil {
		return err
	}
	if err := build(ctx, exe, "./examples/shop"); err != nil {
		return err
	}
	if supervised {
		if err := story(ctx, stdout, tool, dir); err != nil {
			return err
		}
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
	if !supervised {
		if err := leave(core); err != nil {
			return err
		}
	}
	return page(ctx, stdout, tool)
}

// left is the core that the demo leaves in the working directory, to explore it.
const left = "demo.core"

// leave leaves a core.
func leave(core string) error {
	text, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	return os.WriteFile(left, text, 0o600)
}

// page leaves the page of the core, and prints how to open both.
func page(ctx context.Context, stdout io.Writer, tool string) error {
	view := exec.CommandContext(ctx, tool, "view", "--html", "demo.html", left)
	if out, err := view.CombinedOutput(); err != nil {
		return fmt.Errorf("writing demo.html: %w\n%s", err, out)
	}
	_, err := fmt.Fprint(stdout, `demo: wrote demo.core and demo.html
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
