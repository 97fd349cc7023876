// Package docs holds the documents that the command also shows, so that there
// is one text of each.
package docs

import _ "embed"

// Annotations is the grammar of the directives, with every error.
//
//go:embed reference/annotations.md
var Annotations string
