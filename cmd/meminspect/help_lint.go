package main

import (
	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/lint"
)

// lintTopics returns the pages of "meminspect help lint NAME".
func lintTopics() []*cobra.Command {
	var topics []*cobra.Command
	for _, name := range lint.Names() {
		page, err := lint.Page(name)
		if err != nil {
			panic(err) // the pages are part of the program
		}
		topics = append(topics, &cobra.Command{
			Use:   name,
			Short: "What " + name + " finds: " + lint.Summary(name),
			Long:  page,
		})
	}
	return topics
}
