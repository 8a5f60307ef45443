package kvs

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

func TestDialMakesOneCall(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"server error":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"throttled":         func(w http.ResponseWriter) { w.Header().Set("X-Amzn-ErrorType", throttled); w.WriteHeader(400) },
		"connection broken": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"wrong clock": func(w http.ResponseWriter) {
			w.Header().Set("X-Amzn-ErrorType", "InvalidSignatureException")
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(403)
		},
	}
	for name, fail := range answers {
		t.Run(name, func(t *testing.T) {
			seen, e := failing(t, 1, fail)
			stream, err := newDialer(Config{AWS: awsConfig(), Stream: "cam", EndpointURL: e.url})
			if err != nil {
				t.Fatal(err)
			}
			s, err := stream.Dial(t.Context(), earliest, false)
			if err == nil || s != nil {
				t.Errorf("a session comes of it: %v, %v", s, err)
			}
			seen.mu.Lock() // the handler may still be on its way out
			defer seen.mu.Unlock()
			if len(seen.requests) != 1 {
				t.Errorf("%d calls", len(seen.requests))
			}
		})
	}
}

func TestAWrongClockIsRememberedFromOneSessionToTheNext(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			now := func() time.Time { return time.Now().Add(skew) }
			b := newBubble(t, kvstest.Options{Now: now}, savedPayload(),
				kvstest.Fault{Kind: kvstest.FaultCut, Clean: true, Bytes: int64(len(chunk(0)))})
			got := collect(t, source.WithEnd(b.live(t, b.net.aws(), earliest), source.End{Fragments: chunkCount}, media.ClockProducer))
			// Calls that do not prove who they are are not among them.
			if n := len(b.Calls("GetMedia", "cam")); len(got) != chunkCount || n != chunkCount {
				t.Errorf("clock %v off: %d fragments by %d calls", skew, len(got), n)
			}
		})
	}
}

func TestASessionBeganByTheServicesClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const skew = 90 * time.Second
		b := newBubble(t, kvstest.Options{Now: func() time.Time { return time.Now().Add(skew) }}, savedPayload())
		s, err := openSession(t.Context(), b.net.aws(), fromEarliest(memoryURL))
		if err != nil {
			t.Fatal(err)
		}
		if behind := time.Now().Add(skew).Sub(s.OpenedAt()); behind < 0 || behind >= time.Second {
			t.Errorf("the session began at %v, %v before now", s.OpenedAt(), behind)
		}
		_ = s.Close()
		synctest.Wait()
	})
}

func TestAStreamThatCannotBeOpenedIsRefusedBeforeAnyCall(t *testing.T) {
	for want, edit := range map[string]func(*Config){
		"stream: must be":       func(c *Config) { c.Stream = "a/b" },
		"endpoint_url: must be": func(c *Config) { c.EndpointURL = "nowhere" },
	} {
		cfg := Config{AWS: awsConfig(), Stream: "cam"}
		edit(&cfg)
		if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v", err)
		}
	}
	awsCfg := awsConfig()
	awsCfg.Credentials = nil
	if _, err := newDialer(Config{AWS: awsCfg, Stream: "cam"}); err == nil || !strings.Contains(err.Error(), "no AWS credentials") {
		t.Errorf("error is %v", err)
	}
}

func TestAnEndpointThatWasRefusedIsAskedForAgain(t *testing.T) {
	for _, kind := range []kvstest.FaultKind{kvstest.FaultEndpoint, kvstest.FaultMove, kvstest.FaultXML} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{}, savedPayload(),
					kvstest.Fault{Kind: kind, Op: "GetMedia", Nth: 2},
					kvstest.Fault{Kind: kvstest.FaultCut, Clean: true, Bytes: int64(len(chunk(0)))})
				got := collect(t, source.WithEnd(b.live(t, b.net.aws(), earliest), source.End{Fragments: chunkCount}, media.ClockProducer))
				if n := len(b.Calls("GetDataEndpoint", "cam")); len(got) != chunkCount || n != 2 {
					t.Errorf("%d fragments, %d GetDataEndpoint calls", len(got), n)
				}
			})
		})
	}
}

func TestAHostThatIsWrongForGoodIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, kvstest.Options{}, savedPayload(), kvstest.Fault{Kind: kvstest.FaultXML, Op: "GetMedia"})
		_, err := b.live(t, b.net.aws(), earliest).Next(t.Context())
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != source.CodeWrongHost || !strings.Contains(err.Error(), "check endpoint_url") {
			t.Errorf("error is %v", err)
		}
		if n := len(b.Calls("GetMedia", "cam")); n != 4 {
			t.Errorf("%d GetMedia calls", n)
		}
	})
}
