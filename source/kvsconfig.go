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
	Type StartType `key:"type"`
	// Timestamp is used by the two TIMESTAMP types.
	Timestamp time.Time `key:"timestamp,optional,required" with:"type=PRODUCER_TIMESTAMP|SERVER_TIMESTAMP"`
	// AfterFragmentNumber is exclusive, as in the API: reading starts at the fragment after it.
	AfterFragmentNumber string `key:"after_fragment_number,optional,required" with:"type=FRAGMENT_NUMBER"`
	ContinuationToken   string `key:"continuation_token,optional,required" with:"type=CONTINUATION_TOKEN"`
}

// KVSConfig is the Origin of a source of type kvs: streams of Kinesis Video Streams.
type KVSConfig struct {
	// Streams are names or ARNs of KVS streams, or NAME=STREAM to give a stream another name.
	Streams []string `key:"streams,optional" entry:"stream as"`
	// Region is the region of the streams; "" is that of the AWS chain.
	Region string `key:"region"`
	// Profile is a profile of the AWS chain, and RoleARN a role that it, or the chain, assumes to read the streams; "" for none.
	Profile string          `key:"profile"`
	RoleARN setting.RoleARN `key:"role_arn"`
	// EndpointURL is the endpoint of the control plane; "" is that of the region.
	EndpointURL   string        `key:"endpoint_url"`
	Mode          Mode          `key:"mode"`
	StartSelector StartSelector `key:"start_selector"`
	// Deliver is when the frames of a live stream leave; "" is DeliverFragment.
	Deliver Deliver `key:"deliver,optional" with:"mode=live|auto"`
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
