package source

import (
	"fmt"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// FileConfig is the Origin of a source of type file: recordings.
type FileConfig struct {
	Paths     []string  `key:"paths,optional" doc:"Saved GetMedia payloads and plain MKV files, at least one: files, globs, or - for standard input." example:"[recordings/*.mkv]"`
	Stream    string    `key:"stream,optional" doc:"The name of the stream; empty is the base name of the file." example:"front-door"`
	StartTime StartTime `key:"start_time" doc:"The time of timestamp zero of plain MKV: auto is DateUTC of the file, else the Unix epoch, with a warning." example:"2026-11-01T00:00:00Z"`
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
