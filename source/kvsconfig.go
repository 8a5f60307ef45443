package source

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Mode is how a KVS stream is read.
type Mode string

// The modes of a KVS source.
const (
	// ModeLive reads with GetMedia.
	ModeLive Mode = "live"
	// ModeArchive reads stored fragments, with ListFragments and GetMediaForFragmentList, and ends.
	ModeArchive Mode = "archive"
	// ModeAuto reads stored fragments and continues live.
	ModeAuto Mode = "auto"
)

// Values returns the modes of a KVS source.
func (Mode) Values() []string { return setting.Texts(ModeLive, ModeArchive, ModeAuto) }

// Deliver is when the frames of a live stream leave.
type Deliver string

// When frames leave. With DeliverFrame they do while their fragment is still arriving; in ModeAuto that begins where reading continues live.
const (
	DeliverFragment Deliver = "fragment"
	DeliverFrame    Deliver = "frame"
)

// Values returns when frames may leave.
func (Deliver) Values() []string { return setting.Texts(DeliverFragment, DeliverFrame) }

// StartType is where a GetMedia session starts (Kinesis Video Streams API
// Reference, StartSelector).
type StartType string

// The six start selectors of GetMedia, spelled as the API spells them.
const (
	StartNow               StartType = "NOW"
	StartEarliest          StartType = "EARLIEST"
	StartFragmentNumber    StartType = "FRAGMENT_NUMBER"
	StartProducerTimestamp StartType = "PRODUCER_TIMESTAMP"
	StartServerTimestamp   StartType = "SERVER_TIMESTAMP"
	StartContinuationToken StartType = "CONTINUATION_TOKEN"
)

// Values returns the start selectors.
func (StartType) Values() []string {
	return setting.Texts(StartNow, StartEarliest, StartFragmentNumber, StartProducerTimestamp, StartServerTimestamp, StartContinuationToken)
}

// StartSelector is where a GetMedia session starts.
type StartSelector struct {
	Type                StartType `key:"type" doc:"Where reading begins, as the API of KVS names it; in an archive, where the range begins." example:"EARLIEST"`
	Timestamp           time.Time `key:"timestamp,optional,required" with:"type=PRODUCER_TIMESTAMP|SERVER_TIMESTAMP" doc:"The time at which reading begins." example:"2026-11-01T00:00:00Z"`
	AfterFragmentNumber string    `key:"after_fragment_number,optional,required" with:"type=FRAGMENT_NUMBER" doc:"The number of a fragment; reading begins at the fragment after it." example:"91343852333181432392682062607743920146159171387"`
	ContinuationToken   string    `key:"continuation_token,optional,required" with:"type=CONTINUATION_TOKEN" doc:"The token that another session of GetMedia has returned." example:"91343852333181432392682062607743920146159171387"`
}

// KVSConfig is the Origin of a source of type kvs: streams of Kinesis Video Streams.
type KVSConfig struct {
	// Streams are names or ARNs of KVS streams, or NAME=STREAM to give a stream another name.
	Streams       []string        `key:"streams,optional" entry:"stream as" doc:"The streams, at least one, read side by side: names, ARNs, patterns with * and ?, or {stream: NAME or ARN, as: name} where two would have one name." example:"[front-door, {stream: cam-7, as: garage}]"`
	Region        string          `key:"region" doc:"The region of the streams; empty is that of the AWS chain." example:"eu-west-1"`
	Profile       string          `key:"profile" doc:"The profile of the AWS chain for the streams; empty is that of the chain itself." example:"video-account"`
	RoleARN       setting.RoleARN `key:"role_arn" doc:"The role that the profile, or the chain, assumes for the streams." example:"arn:aws:iam::123456789012:role/frames"`
	EndpointURL   string          `key:"endpoint_url" doc:"The endpoint of the control plane, for the emulator and for VPC endpoints; empty is that of the region." example:"http://127.0.0.1:8080"`
	Mode          Mode            `key:"mode" doc:"How streams are read: live with GetMedia, archive only stored fragments, auto the archive up to its newest fragment and then live." example:"archive"`
	StartSelector StartSelector   `key:"start_selector"`
	// Deliver is when the frames of a live stream leave; "" is DeliverFragment.
	Deliver Deliver `key:"deliver,optional" with:"mode=live|auto" doc:"When frames leave: fragment at the end of their fragment, frame while it is still arriving, in mode auto from where reading continues live, and not with fragment_tags or {tag:NAME} in a path." example:"frame"`
}

var _ Origin = KVSConfig{}

// DefaultKVSConfig returns the keys of a source for which only the streams are set.
func DefaultKVSConfig() KVSConfig {
	return KVSConfig{Mode: ModeLive, StartSelector: StartSelector{Type: StartNow}, Deliver: DeliverFragment}
}

// Many implements Origin.
func (c KVSConfig) Many() bool {
	return len(c.Streams) > 1 || len(c.Streams) == 1 && IsPattern(c.Streams[0])
}

// Endless implements Origin.
func (c KVSConfig) Endless() bool { return c.Mode != ModeArchive }

// Names, ARNs and tokens in the API (Kinesis Video Streams API Reference, GetMedia and StartSelector). Lengths are
// checked separately: a count in a pattern makes it slow to compile, at every start of the program.
var (
	wordPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`) })
	arnPattern  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/([a-zA-Z0-9_.-]+)/[0-9]+$`)
	})
)

// The longest names and tokens of the API.
const (
	maxName  = 256
	maxToken = 128
)

func isName(s string) bool { return len(s) <= maxName && wordPattern().MatchString(s) }

// maxARN is the longest stream ARN of the API.
const maxARN = 1024

// Validate implements Origin.
func (c KVSConfig) Validate() error {
	var p setting.Problems
	c.checkStreams(&p)
	p.Check("", c, DefaultKVSConfig())
	if c.EndpointURL != "" {
		u, err := url.Parse(c.EndpointURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			p.Add("endpoint_url", "%q is not a URL such as https://host:port", c.EndpointURL)
		}
	}
	if (c.Mode == ModeArchive || c.Mode == ModeAuto) && !c.StartSelector.InArchive() {
		p.Add("start_selector.type", "%s is not a place in an archive: mode %s needs EARLIEST, FRAGMENT_NUMBER, PRODUCER_TIMESTAMP or SERVER_TIMESTAMP", c.StartSelector.Type, c.Mode)
	}
	return p.Err()
}

// InArchive reports whether the selector is a place in the archive of a stream.
func (s StartSelector) InArchive() bool {
	return s.Type != StartNow && s.Type != StartContinuationToken
}

// Validate returns all problems of the selector, joined. Each is a *setting.Error whose path starts below
// `start_selector`.
func (s StartSelector) Validate() error {
	var p setting.Problems
	p.Check("", s, StartSelector{Type: StartNow})
	if n := s.AfterFragmentNumber; s.Type == StartFragmentNumber && n != "" && !payload.IsFragmentNumber(n) {
		p.Add("after_fragment_number", "%.140q is not a fragment number (1 to %d digits)", n, payload.MaxNumber)
	}
	if t := s.ContinuationToken; s.Type == StartContinuationToken && t != "" && (len(t) > maxToken || !wordPattern().MatchString(t)) {
		p.Add("continuation_token", "%.140q is not a continuation token", t)
	}
	return p.Err()
}

// checkStreams adds the problems of the entries of `streams`.
func (c KVSConfig) checkStreams(p *setting.Problems) {
	if len(c.Streams) == 0 {
		p.Add("streams", "is empty: name at least one stream")
	}
	first := map[string]string{}
	for i, s := range c.Streams {
		key := fmt.Sprintf("streams[%d]", i)
		name, ok := StreamName(s)
		if IsPattern(s) && !strings.Contains(s, "=") {
			name, ok = s, isName(strings.NewReplacer("*", "x", "?", "x").Replace(s))
		}
		if !ok {
			p.Add(key, "%.300q is neither a stream name (letters, digits, _ . -, at most 256; * and ? in a pattern) nor the ARN of a stream", s)
			continue
		}
		if other, taken := first[name]; taken {
			p.Add(key, "is stream %s, as %s is", name, other)
			continue
		}
		first[name] = key
	}
}

// StreamName returns the name of a stream that is given by name or by ARN, or as an entry of `streams` that gives it
// another name, and false for any other text.
func StreamName(entry string) (string, bool) {
	as, nameOrARN, named := strings.Cut(entry, "=")
	if named {
		_, ok := StreamName(nameOrARN)
		return as, ok && isName(as) && !strings.Contains(nameOrARN, "=")
	}
	nameOrARN = entry
	if m := arnPattern().FindStringSubmatch(nameOrARN); m != nil {
		return m[1], len(nameOrARN) <= maxARN && isName(m[1])
	}
	return nameOrARN, isName(nameOrARN)
}

// StreamTarget returns the name or the ARN of the stream in an entry of `streams`.
func StreamTarget(entry string) string {
	return entry[strings.Index(entry, "=")+1:]
}
