package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/page"
)

// viewFlags are the flags of view.
type viewFlags struct {
	html      string
	exe       string
	noBrowser bool
}

func viewCommand() *cobra.Command {
	var f viewFlags
	cmd := &cobra.Command{
		Use:   "view [CORE…|DIR]",
		Short: "Show cores in the browser",
		Long: `Show cores in the browser: the summary, the goroutines, what they wait for, the
values, the memory, the log, and the differences of each core to the one that
follows. Without a CORE the page lists the cores of a directory: see --dir. A
directory in place of a CORE is short for --dir.

With --html the page is written to a file instead. The file contains all that it
shows, makes no request, and opens from disk: attach it to a ticket. It has the
values of the core: give it only to people who may read the core.

Without --html the command serves the page on the loopback interface until it is
interrupted. The URL contains a random token, and requests without it or from
pages of other origins are refused.`,
		Example: `  meminspect view --html shop.html shop.core
  meminspect view --html changes.html before.core after.core
  meminspect view shop.core
  meminspect view --dir cores`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.run(cmd, args); err != nil {
				return fmt.Errorf("view: %w", err)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.html, "html", "", "write the page to `FILE`, - for standard output")
	fl.StringVar(&f.exe, "exe", "", "the executable of the captured program")
	fl.BoolVar(&f.noBrowser, "no-browser", false, "print the URL, and do not open a browser")
	exclusive(cmd, "--html writes a file and opens no browser", "html", "no-browser")
	return cmd
}

func (f *viewFlags) run(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && isDir(args[0]) {
		if cmd.Flags().Changed("dir") {
			return fmt.Errorf("--dir and the directory %s: name one of them", args[0])
		}
		if err := cmd.Flags().Set("dir", args[0]); err != nil {
			return err
		}
		args = nil
	}
	switch {
	case cmd.Flags().Changed("html") && f.html == "":
		return errors.New("--html: no FILE")
	case f.html == "":
		return f.serve(cmd, args)
	}
	if len(args) == 0 {
		return fmt.Errorf("--html: no CORE; usage: %s", cmd.UseLine())
	}
	write := func(w io.Writer) error { return f.write(cmd, w, args) }
	if f.html == stdinName {
		return write(cmd.OutOrStdout())
	}
	if err := replaceable(f.html); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return writeWhole(f.html, write)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// replaceable returns an error if a file exists and is not a page: who forgets the name of
// the page does not lose a core.
func replaceable(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil // not replaced: writeWhole writes in place, or refuses
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(page.Prefix))
	n, err := io.ReadFull(f, head)
	if n > 0 && string(head[:n]) != page.Prefix {
		return fmt.Errorf("%s exists and is not a page: name another file, or remove it", path)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// write writes the page of cores.
func (f *viewFlags) write(cmd *cobra.Command, w io.Writer, args []string) error {
	var programs []*inspect.Program
	for _, arg := range args {
		prog, closeAll, err := openProgram(cmd, arg, f.exe)
		if err != nil {
			return err
		}
		defer closeAll()
		warn(cmd, prog)
		programs = append(programs, prog)
	}
	return page.Write(w, programs...)
}

// serve serves the page until the command is interrupted.
func (f *viewFlags) serve(cmd *cobra.Command, args []string) error {
	s := viewServer{
		list:  func() ([]listJSON, error) { return f.list(cmd) },
		write: func(w io.Writer, cores []string) error { return f.write(cmd, w, cores) },
	}
	if len(args) > 0 {
		var b bytes.Buffer
		if err := f.write(cmd, &b, args); err != nil {
			return err
		}
		s.whole = b.Bytes()
	} else if _, err := os.ReadDir(dirOf(cmd)); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return s.serve(ctx, func(url string) error {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", url); err != nil || f.noBrowser {
			return err
		}
		return openBrowser(ctx, url)
	})
}

// list returns the cores of the directory.
func (f *viewFlags) list(cmd *cobra.Command) ([]listJSON, error) {
	o, err := openOptions(cmd)
	if err != nil {
		return nil, err
	}
	return (&listFlags{}).cores(dirOf(cmd), "", o)
}

// openBrowser starts the user's browser. The URL has the token, and other users see the
// arguments of commands: the browser gets the name of a file that leads to the URL, which
// only this user may read. The file stays until the context ends. That no browser can be
// started is not an error: the URL is printed.
func openBrowser(ctx context.Context, url string) error {
	dir, err := os.MkdirTemp("", "meminspect-view-")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "open.html")
	redirect := `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url=` + url + `"><a href="` + url + `">the page</a>`
	if err := os.WriteFile(path, []byte(redirect), 0o600); err != nil {
		return err
	}
	command := []string{"xdg-open", path}
	switch runtime.GOOS {
	case "darwin":
		command[0] = "open"
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", path}
	}
	if cmd := exec.CommandContext(ctx, command[0], command[1:]...); cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
	return nil
}
