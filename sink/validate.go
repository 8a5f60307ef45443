package sink

import (
	"iter"
	"regexp"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// sinkName matches the names of sinks, up to maxSinkName bytes. Names become parts of keys unchanged.
var sinkName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?$`)

const maxSinkName = 64

// Validate returns all problems of c, joined. Each is a *setting.Error whose path starts below a sink.
func (c Config) Validate() error {
	var p setting.Problems
	if len(c.Name) > maxSinkName || !sinkName.MatchString(c.Name) || strings.Contains(c.Name, "..") {
		p.Add("name", "%q is not a name of 1 to 64 letters, digits, _, - and single dots inside", c.Name)
	}
	c.checkPath(&p)
	if c.Groups != nil {
		c.Groups.check(&p, c)
	}
	if c.Destination.Appends() {
		c.checkAppends(&p)
	}
	c.checkKeep(&p)
	p.Check("", c, DefaultConfig())
	return p.Err()
}

// checkAppends adds the settings that have no meaning without objects.
func (c Config) checkAppends(p *setting.Problems) {
	standard := DefaultConfig()
	const why = "has no meaning on standard output, which has samples alone and no names"
	if c.Path != standard.Path {
		p.Add("path", why)
	}
	if c.Destination.IfExists != standard.Destination.IfExists {
		p.Add("destination.if_exists", why)
	}
	if c.Destination.MaxInFlight != standard.Destination.MaxInFlight {
		p.Add("destination.max_in_flight", why)
	}
	if c.Manifest.Format != ManifestNone {
		p.Add("manifest.format", why+": want none")
	}
	if c.Ledger.Path != "" {
		p.Add("ledger.path", why+`: want ""`)
	}
}

// CheckStreams returns the problems of c in a run that may read several streams, joined as by Validate: keys
// must then name the stream.
func (c Config) CheckStreams() error {
	var p setting.Problems
	const problem = "needs {stream}: the run reads several streams, whose keys would be the same"
	if c.Destination.Appends() {
		p.Add("destination.type", "standard output takes one stream, and the run may read several")
		return p.Err()
	}
	overwrite := c.OverwriteExplicit && c.Destination.IfExists == IfExistsOverwrite
	if t, err := ParsePath(c.Path); err == nil && !t.Distinguishes().Streams && !overwrite {
		p.Add("path", problem)
	}
	for name, path := range c.parts() {
		if t, err := ParseManifestPath(path); err == nil && !t.Distinguishes().Streams {
			p.Add(name, problem)
		}
	}
	return p.Err()
}

// The keys of the templates of parts.
const (
	manifestPath = "manifest.path"
	ledgerPath   = "ledger.path"
)

// parts returns the templates of the parts that the sink writes, by key.
func (c Config) parts() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if c.Manifest.Format != ManifestNone && !yield(manifestPath, c.Manifest.Path) {
			return
		}
		if c.Ledger.Path != "" {
			yield(ledgerPath, c.Ledger.Path)
		}
	}
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
	const why = "does not distinguish frames: use {fragment_number} and {frame_index}"
	switch {
	case c.Destination.IfExists != IfExistsOverwrite:
		p.Add("path", why)
	case !c.OverwriteExplicit:
		p.Add("path", why+"; if each image shall replace the previous one, write `if_exists: overwrite` under destination")
	}
}

// Validate returns all problems of m, joined. Each is a *setting.Error whose path starts below `manifest`.
func (m Manifest) Validate() error {
	if m.Format == ManifestNone {
		return nil
	}
	var p setting.Problems
	p.Check("", m, DefaultConfig().Manifest)
	checkPart(&p, m.Path)
	if t, err := ParseManifestPath(m.Path); err == nil && m.Every > 0 {
		// What a path says of its records, as a partition does, must be so of all.
		switch {
		case t.has(tokenTag):
			p.Add("path", "names a tag, and a part has fragments with any tags: it needs every: 0s")
		case t.has(tokenHour) && time.Hour%m.Every != 0:
			p.Add("every", "%v does not divide an hour, and the path names the hour of a part", m.Every)
		case t.has(tokenDate) && 24*time.Hour%m.Every != 0:
			p.Add("every", "%v does not divide a day, and the path names the day of a part", m.Every)
		}
	}
	return p.Err()
}

// Validate returns all problems of l, joined; each is a *setting.Error whose path starts
// below `ledger`.
func (l Ledger) Validate() error {
	var p setting.Problems
	if l.Path == "" {
		return nil
	}
	checkPart(&p, l.Path)
	if t, err := ParseManifestPath(l.Path); err == nil && t.has(tokenTag) {
		p.Add("path", "names a tag, and many gaps lie outside of any fragment: they have none")
	}
	return p.Err()
}

// checkPart notes what is wrong with the template of a part's key.
func checkPart(p *setting.Problems, path string) {
	t, err := ParseManifestPath(path)
	switch {
	case err != nil:
		p.Add("path", "%v", err)
	case !t.Distinguishes().Fragments:
		p.Add("path", "does not distinguish fragments: use {fragment_number}")
	}
}
