// Package counterparts is the parent of commands that other projects' libraries make:
// servers that receive what this project sends, and readers of what it writes.
// They have a module of their own, outside the workspace, so that their many
// requirements choose no version of the others.
package counterparts
