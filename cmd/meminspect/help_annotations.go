package main

import (
	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/docs"
)

// annotationsTopic is the page of "meminspect help annotations". It runs
// nothing.
func annotationsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "annotations",
		Short: "The grammar of the //meminspect: lines",
		Long:  docs.Annotations,
	}
}
