package kvstest

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/kvsframes/kvsframes/internal/logging"
)

// Pace determines when the chunks of a recording appear in its stream.
type Pace int

const (
	// PaceMax makes every chunk available from the start. A session ends after the last one.
	PaceMax Pace = iota
	// PaceRealtime plays a recording once, in real time by its producer clock, starting when it is added. GetMedia sends a chunk
	// while it arrives, as the service does: its start, with the tags before the cluster, when the fragment begins; each block when its
	// frame has been captured, at its time, or at the latest time of the blocks before it; and the rest when the fragment is
	// whole, when the next one begins or its last frame is over. What is over already is sent at once. The archive has only whole
	// fragments. A session ends after waiting Options.IdleEnd for the next chunk to begin.
	PaceRealtime
)

// Defaults of Options.
const (
	// DefaultKey is the default access key and secret key.
	DefaultKey = "test"
	// defaultIdleEnd is how long GetMedia waits for a fragment before it ends a response (API Reference, GetMedia).
	defaultIdleEnd = 3 * time.Second
	// defaultMaxRecording is the largest recording that is read into memory, in bytes.
	defaultMaxRecording = 1 << 30
)

// DefaultEpoch is the producer time at which plain MKV files begin.
var DefaultEpoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Options holds the settings of a Server. The zero value of each field is its default.
type Options struct {
	// AccessKey and SecretKey are the credentials that requests must be signed
	// with; "" means DefaultKey.
	AccessKey, SecretKey string
	// SessionToken is the security token that requests must have; "" accepts any
	// token, and none.
	SessionToken string
	// Region is the region that requests must be signed for; "" accepts any.
	Region string
	// Pace determines when chunks appear.
	Pace Pace
	// Jitter is the most by which PaceRealtime delays each block, at random but in order. The delays depend only on the name of the
	// stream and its recording.
	Jitter time.Duration
	// IdleEnd is how long a session waits for the next chunk before it ends, with
	// PaceRealtime and on streams that PutMedia feeds. It is also the silence after
	// which PutMedia sends an IDLE acknowledgement. 0 means 3 s.
	IdleEnd time.Duration
	// Epoch is the producer time of timecode zero of plain MKV files; zero means
	// DefaultEpoch.
	Epoch time.Time
	// MaxRecording limits the size of what AddRecording accepts, and of the media from PutMedia that one stream
	// keeps, in bytes; 0 means 1 GiB. AddFile has no limit.
	MaxRecording int64
	// Quotas are the limits of the service that the server enforces.
	Quotas Quotas
	// Link simulates the network between the server and each client.
	Link Link
	// Log receives one line per request; nil discards them.
	Log *slog.Logger
	// Now is the service's clock: for signatures, server times and retention; nil means
	// time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.AccessKey, o.SecretKey = cmp.Or(o.AccessKey, DefaultKey), cmp.Or(o.SecretKey, DefaultKey)
	o.IdleEnd = cmp.Or(o.IdleEnd, defaultIdleEnd)
	o.MaxRecording = cmp.Or(o.MaxRecording, defaultMaxRecording)
	if o.Epoch.IsZero() {
		o.Epoch = DefaultEpoch
	}
	o.Log = logging.OrSilent(o.Log)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Quotas = o.Quotas.withDefaults()
	return o
}

// Quotas are limits of the service (Developer Guide, Quotas), each for one stream. The limits of calls and of
// connections apply by default; a negative number disables them. The others apply if they are set.
type Quotas struct {
	// GetMediaCalls and PutMediaCalls are calls a second; 0 means 5.
	GetMediaCalls, PutMediaCalls int
	// GetMediaConnections, FragmentListConnections and PutMediaConnections are the numbers of concurrent
	// answers; 0 means 3, 5 and 1.
	GetMediaConnections, FragmentListConnections, PutMediaConnections int

	// FragmentsPerSecond is the rate of one GetMedia session; that of the service is 5.
	FragmentsPerSecond int
	// FragmentPoints is the budget of GetMediaForFragmentList a second, of which each fragment costs a point;
	// that of the service is 500.
	FragmentPoints int
	// MetadataPoints is the budget of ListFragments a second, of which each of MaxResults costs a point; that
	// of the service is 10,000.
	MetadataPoints int
	// EndpointCalls and DescribeCalls are calls of GetDataEndpoint and of DescribeStream a second; those of
	// the service are 5.
	EndpointCalls, DescribeCalls int
}

// ServiceQuotas returns all limits of the service.
func ServiceQuotas() Quotas {
	return Quotas{
		FragmentsPerSecond: 5, FragmentPoints: 500, MetadataPoints: 10_000,
		EndpointCalls: 5, DescribeCalls: 5,
	}.withDefaults()
}

func (q Quotas) withDefaults() Quotas {
	q.GetMediaCalls, q.PutMediaCalls = cmp.Or(q.GetMediaCalls, 5), cmp.Or(q.PutMediaCalls, 5)
	q.GetMediaConnections = cmp.Or(q.GetMediaConnections, maxSessions)
	q.FragmentListConnections = cmp.Or(q.FragmentListConnections, 5)
	q.PutMediaConnections = cmp.Or(q.PutMediaConnections, 1)
	return q
}

// Link is a network with limited bandwidth and a latency.
type Link struct {
	// BytesPerSecond is the largest rate of one answer; 0 means no limit.
	BytesPerSecond int64
	// Latency is the time from a request to the first byte of its answer.
	Latency time.Duration
}
