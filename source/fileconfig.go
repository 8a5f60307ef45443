package source

import (
	"fmt"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// FileConfig is the Origin of a source of type file: recordings.
type FileConfig struct {
	// Paths are files, globs, or "-" for standard input.
	Paths []string `key:"paths,optional"`
	// Stream overrides the stream name of a file source.
	Stream string `key:"stream,optional"`
	// StartTime is the instant of timestamp zero of plain MKV files.
	StartTime StartTime `key:"start_time"`
}

var _ Origin = FileConfig{}

// Many implements Origin. The number of streams is known only after the paths have been looked up: see OpenFiles.
func (FileConfig) Many() bool { return false }

// Endless implements Origin.
func (FileConfig) Endless() bool { return false }

// Validate implements Origin.
func (c FileConfig) Validate() error {
	var p setting.Problems
	if len(c.Paths) == 0 {
		p.Add("paths", "is empty: name at least one file, or - for standard input")
	}
	for i, path := range c.Paths {
		if strings.TrimSpace(path) == "" {
			p.Add(fmt.Sprintf("paths[%d]", i), "is empty")
		}
	}
	return p.Err()
}
