package sink

import (
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// Group states how many samples are in a group: each limit that is reached ends it.
type Group struct {
	Every time.Duration `key:"every" range:"1s.." doc:"The distance of the points of a grid from the Unix epoch on; the first sample at or after each of them begins a group." example:"1h"`
	// Count is the largest number of samples, and Size that of their bytes, unless one sample has more; 0 is no limit.
	Count int        `key:"count" range:"0.." doc:"How many samples a group has at most; 0 is no limit." example:"1000"`
	Size  media.Size `key:"size" range:"0B.." doc:"How many bytes the samples of a group have at most, unless one alone has more; 0B is no limit." example:"1GiB"`
}

// DefaultGroup returns the settings of an empty `group` part.
func DefaultGroup() Group { return Group{Every: 10 * time.Minute} }

// Groups states which images of a stream are in one object, and how. A group is a run of consecutive images. It ends with the stream,
// by the limits of Group, where the clock goes back or a live stream falls silent, and where its Pack needs it: so any two runs over the same
// images make the same groups, but for those that silence ends.
type Groups struct {
	Group
	Layout Layout
}

// Layout is the form of objects that hold several images. It makes bytes; the Sink decides which images are in an object, and stores it.
type Layout interface {
	// Ext returns the extension of the objects' names.
	Ext() string
	// ContentType returns the media type of the objects.
	ContentType() string
	// Beside returns the extensions of the companions of each object: objects of the same name but for the extension.
	Beside() []string
	// Inside returns an image as it is in an object, whose size and digest its record has.
	Inside(img media.Image) media.Image
	// NewPack begins an object with its first image, which Add gets, too.
	NewPack(first media.Image) Pack
}

// EndlessLayout is a Layout that can also be made without an end, as an Appender needs it.
type EndlessLayout interface {
	Layout
	// NewEndless begins with the first image, which Add gets, too. The Pack keeps nothing of the images, and has neither Head nor companions.
	NewEndless(first media.Image) Pack
}

// Pack makes the bytes of one object. One goroutine at a time uses it.
type Pack interface {
	// Joins reports whether a further image may be in the object.
	Joins(img media.Image) bool
	// Add returns what an image adds to the object, in pieces. They may be parts of img.Data. An error states that the image cannot be in the
	// object.
	Add(img media.Image, record ManifestRecord) (pieces [][]byte, err error)
	// End returns what ends the object, and the companions in the order of Layout.Beside.
	End() (end []byte, beside []Companion, err error)
}

// HeadedPack is a Pack that knows the first bytes of its object only at the end.
type HeadedPack interface {
	Pack
	// Head returns these bytes, as many as the first piece of the first Add has. It is called after End.
	Head() []byte
}

// GrowingPack is a Pack whose Add returns nothing, since any image changes all of the object. The Sink of a live stream that may replace objects
// stores the object while it grows, between fragments and at most every 10 s. It stores the companions after the object, of which they tell.
type GrowingPack interface {
	Pack
	// SoFar returns the object with the images so far, and its companions. Add may follow.
	SoFar() (object []byte, beside []Companion, err error)
}

// Companion is an object beside the object of a group.
type Companion struct {
	Body        []byte
	ContentType string
}

// beside returns the key of a companion of the object of a key.
func (g *Groups) beside(key, ext string) string {
	return strings.TrimSuffix(key, "."+g.Layout.Ext()) + "." + ext
}

// besidePath returns the template of a companion's keys.
func (g *Groups) besidePath(template, ext string) string {
	if p, ok := strings.CutSuffix(template, ".{ext}"); ok {
		return p + "." + ext
	}
	return g.beside(template, ext)
}

// check adds what is wrong with the settings of a sink that makes groups.
func (g *Groups) check(p *setting.Problems, c Config) {
	if c.Destination.Appends() {
		if _, ok := g.Layout.(EndlessLayout); !ok {
			p.Add("destination.type", "a %s file cannot be written before its last sample is known; type raw, format npy gives an array for each sample", g.Layout.Ext())
		}
		if g.Group != DefaultGroup() {
			p.Add("group", "standard output has no groups: all samples follow each other")
		}
		return
	}
	p.Check("group", g.Group, DefaultGroup())
}
