package sink

import (
	"regexp"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// sinkName is what a sink may be called, in at most maxSinkName bytes. Names become parts of keys as they are.
var sinkName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?$`)

const maxSinkName = 64

// Validate returns all problems of c, joined; each is a *setting.Error whose
// path starts below a sink.
func (c Config) Validate() error {
	var p setting.Problems
	if len(c.Name) > maxSinkName || !sinkName.MatchString(c.Name) || strings.Contains(c.Name, "..") {
		p.Add("name", "%q is no name of 1 to 64 letters, digits, _, - and single dots inside", c.Name)
	}
	c.checkPath(&p)
	p.Check("", c, DefaultConfig())
	return p.Err()
}

// CheckStreams returns the problems that c has when a run may read several
// streams, joined as Validate does: keys then have to name the stream.
func (c Config) CheckStreams() error {
	var p setting.Problems
	const problem = "needs {stream}: the run reads several streams, and their keys would be the same"
	overwrite := c.OverwriteExplicit && c.Destination.IfExists == IfExistsOverwrite
	if t, err := ParsePath(c.Path); err == nil && !t.Distinguishes().Streams && !overwrite {
		p.Add("path", problem)
	}
	if c.Manifest.Format == ManifestNone {
		return p.Err()
	}
	if t, err := ParseManifestPath(c.Manifest.Path); err == nil && !t.Distinguishes().Streams {
		p.Add("manifest.path", problem)
	}
	return p.Err()
}

func (c Config) checkPath(p *setting.Problems) {
	t, err := ParsePath(c.Path)
	if err != nil {
		p.Add("path", "%v", err)
		return
	}
	if t.Distinguishes().Frames {
		return
	}
	const why = "cannot tell two frames apart: that takes {fragment_number} and {frame_index}"
	switch {
	case c.Destination.IfExists != IfExistsOverwrite:
		p.Add("path", why)
	case !c.OverwriteExplicit:
		p.Add("path", why+"; if each image is to replace the one before it, write `if_exists: overwrite` under destination")
	}
}

// Validate returns all problems of m, joined; each is a *setting.Error whose path starts
// below `manifest`.
func (m Manifest) Validate() error {
	if m.Format == ManifestNone {
		return nil
	}
	var p setting.Problems
	p.Check("", m, DefaultConfig().Manifest)
	t, err := ParseManifestPath(m.Path)
	switch {
	case err != nil:
		p.Add("path", "%v", err)
	case !t.Distinguishes().Fragments:
		p.Add("path", "cannot tell two fragments apart: that takes {fragment_number}")
	}
	return p.Err()
}
