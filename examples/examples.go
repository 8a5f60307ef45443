// Package examples holds settings to start from. Each file states how to run it, and how to read what it writes.
package examples

import (
	"embed"
	"slices"
)

//go:embed thumbnails.yaml pytorch.yaml webdataset.yaml storyboard.yaml archive.yaml
var files embed.FS

// starts are the purposes that have an example, and its name.
var starts = [][2]string{
	{"thumbnails", "thumbnails.yaml"},
	{"ml", "pytorch.yaml"},
	{"webdataset", "webdataset.yaml"},
	{"storyboard", "storyboard.yaml"},
	{"archive", "archive.yaml"},
}

// Purposes returns what there is an example for; the first one is the usual one.
func Purposes() []string {
	var all []string
	for _, s := range starts {
		all = append(all, s[0])
	}
	return all
}

// For returns the example for a purpose: its file's name in this folder and its text. Both are "" for an unknown purpose.
func For(purpose string) (name, text string) {
	i := slices.IndexFunc(starts, func(s [2]string) bool { return s[0] == purpose })
	if i < 0 {
		return "", ""
	}
	data, err := files.ReadFile(starts[i][1])
	if err != nil {
		panic("examples: " + err.Error()) // cannot happen: the file is embedded
	}
	return starts[i][1], string(data)
}
