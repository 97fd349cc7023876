package main

import (
	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/docs"
)

// annotationsTopic is what "meminspect help annotations" shows. It runs
// nothing.
func annotationsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "annotations",
		Short: "The grammar of the //meminspect: lines",
		Long:  docs.Annotations,
	}
}
