// Command packages makes the Linux packages that a GoReleaser configuration describes
// in its section nfpms, of binaries that are there already.
//
//	SOURCE_DATE_EPOCH=SECONDS packages CONFIGURATION BINARIES VERSION ARCHITECTURE FOLDER
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"gopkg.in/yaml.v3"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: packages CONFIGURATION BINARIES VERSION ARCHITECTURE FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

// A configuration is the part of GoReleaser's that this command reads.
type configuration struct {
	NFPMs []struct {
		PackageName string         `yaml:"package_name"`
		Formats     []string       `yaml:"formats"`
		Maintainer  string         `yaml:"maintainer"`
		Description string         `yaml:"description"`
		Homepage    string         `yaml:"homepage"`
		License     string         `yaml:"license"`
		Section     string         `yaml:"section"`
		Priority    string         `yaml:"priority"`
		BinDir      string         `yaml:"bindir"`
		Contents    files.Contents `yaml:"contents"`
	} `yaml:"nfpms"`
}

func run(config, binaries, version, arch, folder string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	var c configuration
	if err := yaml.Unmarshal(text, &c); err != nil {
		return err
	}
	programs, err := filepath.Glob(filepath.Join(binaries, "*"))
	if err != nil {
		return err
	}
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	for _, p := range c.NFPMs {
		contents := p.Contents
		for _, program := range programs {
			contents = append(contents, &files.Content{Source: program, Destination: filepath.Join(p.BinDir, filepath.Base(program)), FileInfo: &files.ContentFileInfo{Mode: 0o755}})
		}
		for _, format := range p.Formats {
			info := nfpm.WithDefaults(&nfpm.Info{
				Name: p.PackageName, Arch: arch, Platform: "linux", Version: version, Section: p.Section, Priority: p.Priority,
				Maintainer: p.Maintainer, Description: p.Description, Homepage: p.Homepage, License: p.License,
				MTime:        time.Unix(epoch, 0).UTC(),
				Overridables: nfpm.Overridables{Contents: contents},
			})
			packager, err := nfpm.Get(format)
			if err != nil {
				return err
			}
			info.Target = filepath.Join(folder, packager.ConventionalFileName(info))
			if err := nfpm.PrepareForPackager(info, format); err != nil {
				return err
			}
			f, err := os.Create(info.Target)
			if err != nil {
				return err
			}
			err = packager.Package(info, f)
			if cerr := f.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
			fmt.Println(info.Target)
		}
	}
	return nil
}
