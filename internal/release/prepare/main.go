// Command prepare writes what a release contains besides the programs: manual pages,
// completions, and the licenses of all modules and npm packages that the programs
// contain.
//
//	go run ./internal/release/prepare FOLDER
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/meminspect/meminspect/internal/release/notices"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: prepare FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

// systems are those of the programs in .goreleaser.yaml.
var systems = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// copyright is the file that Debian packages have.
const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: meminspect
Source: https://github.com/meminspect/meminspect

Files: *
Copyright: The meminspect authors
License: Apache-2.0
 The full text is in /usr/share/common-licenses/Apache-2.0. The file NOTICES has the
 licenses of the modules and npm packages that the programs contain.
`

func run(folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	completions := filepath.Join(folder, "completions")
	if err := os.MkdirAll(completions, 0o755); err != nil {
		return err
	}
	tool := filepath.Join(folder, "meminspect")
	if _, err := output("go", "build", "-o", tool, "./cmd/meminspect"); err != nil {
		return err
	}
	defer os.Remove(tool)
	if _, err := output(tool, "man", filepath.Join(folder, "man")); err != nil {
		return err
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		text, err := output(tool, "completion", shell)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(completions, "meminspect."+shell), text, 0o644); err != nil {
			return err
		}
	}
	text, err := notices.Of(systems, "./cmd/meminspect", "./cmd/meminspect-vet")
	if err != nil {
		return err
	}
	page, err := notices.OfPage("internal/inspect/page/web")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "NOTICES"), append(text, page...), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "copyright"), []byte(copyright), 0o644)
}

func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %v: %w: %s", name, args, err, stderr.String())
	}
	return out, nil
}
