package main

import (
	"errors"
	"fmt"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
)

// identityVariable is the default of --identity.
const identityVariable = "MEMINSPECT_IDENTITY"

// addOpenFlags gives a command that reads cores the flags of [openOptions].
func addOpenFlags(cmd *cobra.Command) {
	size := bytesize.Value(corefile.DefaultMaxBytes)
	cmd.Flags().Var(&size, "max-size", "maximum size of a compressed or piped core, decompressed")
	cmd.Flags().StringArray("identity", nil, "`file` of the age or SSH secret key of an encrypted core; may be repeated (default $"+identityVariable+")")
}

// openOptions returns how the command line asks to open cores.
func openOptions(cmd *cobra.Command) (o corefile.OpenOptions, err error) {
	size, ok := cmd.Flags().Lookup("max-size").Value.(*bytesize.Value)
	if !ok || *size <= 0 {
		return o, fmt.Errorf("--max-size=%v: want more than 0", cmd.Flags().Lookup("max-size").Value)
	}
	o.MaxBytes = int64(*size)
	o.Identities, err = identities(cmd)
	return o, err
}

// identities returns the secret keys that the command line names.
func identities(cmd *cobra.Command) ([]age.Identity, error) {
	files, err := cmd.Flags().GetStringArray("identity")
	if err != nil {
		return nil, err
	}
	if name := os.Getenv(identityVariable); len(files) == 0 && name != "" {
		files = []string{name}
	}
	return corefile.ParseIdentities(files, askPassphrase)
}

// askPassphrase asks on the terminal, whatever standard input is.
func askPassphrase(file string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("it has a passphrase, and there is no terminal to ask for it")
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Passphrase for %s: ", file)
	defer fmt.Fprintln(tty)
	return term.ReadPassword(int(tty.Fd()))
}

// openCore opens the core at path for a command that reads it, and warns if it
// is truncated: the missing part shows as not captured.
func openCore(cmd *cobra.Command, path string) (*inspect.Core, error) {
	core, err := readCore(cmd, path)
	if err != nil {
		return nil, err
	}
	if n := core.Missing(); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %s: %s is truncated: %d bytes are missing, and what they held shows as not captured\n", verbOf(cmd), path, n)
	}
	return core, nil
}

// readCore is openCore without the warning.
func readCore(cmd *cobra.Command, path string) (*inspect.Core, error) {
	o, err := openOptions(cmd)
	if err != nil {
		return nil, err
	}
	if path, err = corePath(cmd, path); err != nil {
		return nil, err
	}
	core, err := inspect.OpenWith(path, o)
	return core, suggestSize(err)
}

// suggestSize adds what to do to the error about a core that is too large.
func suggestSize(err error) error {
	if errors.Is(err, corefile.ErrTooLarge) {
		return fmt.Errorf("%w: raise --max-size", err)
	}
	return err
}

// warn prints the warnings about a program. A full core needs none: err, the
// reason why it cannot be read, is the whole truth.
func warn(cmd *cobra.Command, prog *inspect.Program, err error) {
	if errors.Is(err, inspect.ErrFullCore) {
		return
	}
	for _, w := range prog.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "meminspect: %s: %s\n", cmd.Name(), w)
	}
}
