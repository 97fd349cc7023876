package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/runtime/format/kinfo"
)

func kinfoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kinfo",
		Short: "Read Debug Kinfo blocks",
	}
	cmd.AddCommand(kinfoShowCommand())
	return cmd
}

func kinfoShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print a Debug Kinfo block",
		Long: `Print the Debug Kinfo block that a program with package kinfo keeps in a file, or
any other file of this layout. A wrong magic or checksum is an error.`,
		Example: `  meminspect kinfo show shop.kinfo
  meminspect kinfo show --json shop.kinfo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readFile(args[0])
			if err != nil {
				return fmt.Errorf("kinfo show: %w", err)
			}
			info, err := kinfo.Decode(b)
			if err != nil {
				return fmt.Errorf("kinfo show %s: %w", args[0], err)
			}
			w := cmd.OutOrStdout()
			if asJSON {
				return jsonLines(w).Encode(kinfoJSON(info))
			}
			fmt.Fprintf(w, "release   %s\nbuild     %s\nsymbols   %d\nbits      %d\n", oneLine(info.Release), oneLine(info.BuildInfo), info.NumSyms, info.BitPerLong)
			for i, name := range kinfo.AddressNames {
				if info.Address[i] != 0 {
					fmt.Fprintf(w, "%-16s %#x\n", name, info.Address[i])
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func kinfoJSON(i *kinfo.Info) map[string]any {
	addresses := map[string]address{}
	for k, name := range kinfo.AddressNames {
		addresses[name] = address(i.Address[k])
	}
	return map[string]any{
		"release": i.Release, "build": i.BuildInfo, "symbols": i.NumSyms, "bits": i.BitPerLong,
		"enabled": i.EnabledAll, "addresses": addresses, "threadSize": i.ThreadSize,
	}
}
