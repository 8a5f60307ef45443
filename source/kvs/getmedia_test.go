package kvs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/aws/smithy-go"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source"
)

func TestRefusalsSayWhatHappenedAndWhatToDo(t *testing.T) {
	live := kvstest.Options{Pace: kvstest.PaceRealtime, IdleEnd: time.Hour}
	cases := []struct {
		name      string
		opts      kvstest.Options
		edit      func(*aws.Config, *Config)
		operation string
		code      string
		status    int
		hint      string
	}{
		{
			name: "stream that is not there", edit: func(_ *aws.Config, c *Config) { c.Stream = "missing" },
			operation: "GetDataEndpoint", code: "ResourceNotFoundException", status: 404, hint: "stream's name",
		},
		{
			name: "wrong secret", opts: kvstest.Options{SecretKey: "other"}, edit: func(*aws.Config, *Config) {},
			operation: "GetDataEndpoint", code: "InvalidSignatureException", status: 403, hint: "secret access key",
		},
		{
			name: "unknown key", opts: kvstest.Options{AccessKey: "other"}, edit: func(*aws.Config, *Config) {},
			operation: "GetDataEndpoint", code: "UnrecognizedClientException", status: 403, hint: "access key id",
		},
		{
			name: "other region", opts: kvstest.Options{Region: "us-east-1"}, edit: func(*aws.Config, *Config) {},
			operation: "GetDataEndpoint", code: "InvalidSignatureException", status: 403, hint: "region",
		},
		{
			name: "host that serves something else", edit: func(_ *aws.Config, c *Config) { c.EndpointURL += "/elsewhere" },
			operation: "GetDataEndpoint", code: source.CodeWrongHost, status: 403, hint: "endpoint_url",
		},
		{
			name: "token that nobody gave out", edit: func(_ *aws.Config, c *Config) {
				c.Start = source.StartSelector{Type: source.StartContinuationToken, ContinuationToken: "abc"}
			},
			operation: "GetMedia", code: "InvalidArgumentException", status: 400, hint: "start selector",
		},
		{
			name: "too many connections", opts: live, edit: func(*aws.Config, *Config) {},
			operation: "GetMedia", code: "ConnectionLimitExceededException", status: 400, hint: "stop one of them",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, e := emulate(t, c.opts)
			awsCfg, cfg := awsConfig(), fromEarliest(e.url)
			if c.opts.Pace == kvstest.PaceRealtime {
				for range 3 {
					s, err := openSession(t.Context(), awsCfg, cfg)
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
				}
			}
			c.edit(&awsCfg, &cfg)
			_, err := openSession(t.Context(), awsCfg, cfg)
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("error is %v", err)
			}
			id, _ := parseStream(cfg.Stream)
			if refused.Stream != id.name || refused.Operation != c.operation || refused.Code != c.code || refused.Status != c.status || len(refused.RequestID) != 36 {
				t.Errorf("error is %#v", refused)
			}
			for _, part := range []string{refused.Stream, refused.Code, refused.Message, refused.RequestID, c.hint} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != c.code {
				t.Errorf("%v is no API error of the SDK", err)
			}
		})
	}
}

func TestTheCodeOfARefusalIsFoundWhereverItIs(t *testing.T) {
	cases := []struct {
		name, header, value, body, code, message, id string
	}{
		{"AWS's header", "X-Amzn-ErrorType", "NotAuthorizedException:http://internal/", `{"Message":"no"}`, "NotAuthorizedException", "no", "1"},
		{"documented header", "X-Amz-ErrorType", "NotAuthorizedException", `{"message":"no"}`, "NotAuthorizedException", "no", "2"},
		{"type with a namespace", "X-Other", "", `{"__type":"com.amazonaws.kinesisvideo#NotAuthorizedException","message":"no"}`, "NotAuthorizedException", "no", "1"},
		{"code", "X-Other", "", `{"code":"NotAuthorizedException"}`, "NotAuthorizedException", "no message", "2"},
		{"nothing", "X-Other", "", ``, "UnknownError", "no message", "1"},
		{"XML", "X-Other", "", "\n<AccessDeniedException><Message>no operation</Message></AccessDeniedException>", source.CodeWrongHost, "the answer is not JSON but AccessDeniedException: no operation", "2"},
		{"XML with an error inside", "X-Other", "", "<ErrorResponse><Error><Code>Denied</Code><Message>no</Message></Error></ErrorResponse>", source.CodeWrongHost, "the answer is not JSON but Denied: no", "1"},
		{"page of a proxy", "X-Other", "", "<html><br></html>", source.CodeWrongHost, "the answer is not JSON but a page that is not XML", "2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := mediaServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(c.header, c.value)
				w.Header().Set(map[string]string{"1": "X-Amzn-RequestId", "2": "X-Amz-RequestId"}[c.id], "request-"+c.id)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
			var refused *Error
			if !errors.As(err, &refused) || refused.Code != c.code || refused.Message != c.message || refused.RequestID != "request-"+c.id || refused.Status != 401 {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// recorder keeps what came with each GetMedia request.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func (r *recorder) add(req *http.Request, body string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.bodies = append(r.requests, req), append(r.bodies, body)
	return len(r.requests)
}

// failing is a GetMedia that fails the first times and then is the emulator.
func failing(t *testing.T, times int, fail func(w http.ResponseWriter)) (*recorder, *endpoint) {
	t.Helper()
	emulator, _ := emulate(t, kvstest.Options{})
	seen, handler := failsFirst(emulator, times, fail)
	return seen, serve(t, handler)
}

func failsFirst(emulator *kvstest.Server, times int, fail func(w http.ResponseWriter)) (*recorder, http.Handler) {
	seen := &recorder{}
	return seen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.URL.Path == "/getMedia" && seen.add(r, string(body)) <= times {
			fail(w)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		emulator.Handler().ServeHTTP(w, r)
	})
}

// countingCredentials hands out a new token each time.
type countingCredentials struct{ n int }

func (c *countingCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	c.n++
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", SessionToken: fmt.Sprint("token-", c.n)}, nil
}

func TestCallsThatMayPassAreMadeAgain(t *testing.T) {
	answer := func(status int, code string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("X-Amzn-ErrorType", code)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"Message":"not now"}`)
		}
	}
	cases := []struct {
		name  string
		times int
		fail  func(http.ResponseWriter)
		calls int
		ok    bool
	}{
		{"server error once", 1, answer(500, "InternalFailure"), 2, true},
		{"no service twice", 2, answer(503, "ServiceUnavailable"), 3, true},
		{"no service for long", 9, answer(503, "ServiceUnavailable"), 10, true},
		{"throttled", 1, answer(400, "ClientLimitExceededException"), 2, true},
		{"connection broken", 1, func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 2, true},
		{"connection limit", 1, answer(400, "ConnectionLimitExceededException"), 2, true},
		{"invalid argument", 1, answer(400, "InvalidArgumentException"), 1, false},
		{"invalid signature once, clock right", 1, answer(403, "InvalidSignatureException"), 2, true},
		{"invalid signature, clock right", 9, answer(403, "InvalidSignatureException"), 2, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{}, savedPayload())
				seen, handler := failsFirst(b.Server, c.times, c.fail)
				b.net = serveMemory(t, handler)
				awsCfg := b.net.aws()
				awsCfg.Credentials = &countingCredentials{}
				s := b.live(t, awsCfg, earliest)
				for range chunkCount {
					if _, err := s.Next(t.Context()); c.ok != (err == nil) {
						t.Fatalf("error is %v", err)
					}
				}
				checkCalls(t, seen, c.calls)
			})
		})
	}
}

// checkCalls checks that so many calls asked for the same, each with credentials of its own.
func checkCalls(t *testing.T, seen *recorder, calls int) {
	t.Helper()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.requests) != calls {
		t.Fatalf("%d calls, want %d", len(seen.requests), calls)
	}
	tokens := map[string]bool{}
	for i, r := range seen.requests {
		tokens[r.Header.Get("X-Amz-Security-Token")] = true
		if seen.bodies[i] != seen.bodies[0] {
			t.Errorf("call %d has the body %q", i, seen.bodies[i])
		}
	}
	if len(tokens) != calls {
		t.Errorf("%d calls were made with %d sets of credentials", calls, len(tokens))
	}
}

func TestThrottledEndpointsAreAskedAgain(t *testing.T) {
	emulator, _ := emulate(t, kvstest.Options{})
	var once sync.Once
	e := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		throttle := false
		once.Do(func() { throttle = true })
		if throttle {
			w.Header().Set("X-Amzn-ErrorType", throttled)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"Message":"not now"}`)
			return
		}
		emulator.Handler().ServeHTTP(w, r)
	}))
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, s)
}

func TestAWrongClockIsPutRightByTheAnswer(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		_, e := emulate(t, kvstest.Options{Now: func() time.Time { return time.Now().Add(skew) }})
		cfg := fromEarliest(e.url)
		cfg.AWS = awsConfig()
		d, err := newDialer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var refused *Error
		if _, err := d.call(t.Context(), earliest, false); !errors.As(err, &refused) || refused.Operation != "GetMedia" {
			t.Errorf("clock %v off: the first call returns %v", skew, err)
		}
		s, err := d.call(t.Context(), earliest, false)
		if err != nil {
			t.Fatalf("clock %v off: %v", skew, err)
		}
		if n := len(readAll(t, s)); n != chunkCount {
			t.Errorf("clock %v off: %d fragments", skew, n)
		}
	}
}

func TestTheRequestIsWhatTheAPITakes(t *testing.T) {
	when := time.Date(2026, time.March, 4, 5, 6, 7, 89e6, time.UTC)
	arn := "arn:aws:kinesisvideo:eu-central-1:123456789012:stream/cam/1767225600000"
	cases := []struct {
		stream string
		start  source.StartSelector
		want   string
	}{
		{"cam", source.StartSelector{Type: source.StartNow, AfterFragmentNumber: "unused"}, `{"StartSelector":{"StartSelectorType":"NOW"},"StreamName":"cam"}`},
		{arn, source.StartSelector{Type: source.StartEarliest}, `{"StartSelector":{"StartSelectorType":"EARLIEST"},"StreamARN":"` + arn + `"}`},
		{"cam", source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: "12"}, `{"StartSelector":{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"12"},"StreamName":"cam"}`},
		{"cam", source.StartSelector{Type: source.StartContinuationToken, ContinuationToken: "a-b"}, `{"StartSelector":{"StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"a-b"},"StreamName":"cam"}`},
		{"cam", source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: when}, `{"StartSelector":{"StartSelectorType":"PRODUCER_TIMESTAMP","StartTimestamp":1772600767.089},"StreamName":"cam"}`},
		{"cam", source.StartSelector{Type: source.StartServerTimestamp, Timestamp: time.UnixMilli(-1500)}, `{"StartSelector":{"StartSelectorType":"SERVER_TIMESTAMP","StartTimestamp":-1.5},"StreamName":"cam"}`},
	}
	for _, c := range cases {
		id, err := parseStream(c.stream)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(newMediaRequest(id, c.start)); err != nil || string(got) != c.want {
			t.Errorf("body is %s, %v, want %s", got, err, c.want)
		}
	}

	seen, e := failing(t, 0, nil)
	s, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, s)
	h := seen.requests[0].Header
	if h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("User-Agent"), "kvsframes ") || h.Get("X-Amz-Security-Token") != "session" {
		t.Errorf("headers are %v", h)
	}
}

func TestThePayloadOfARealRecordingIsTheFile(t *testing.T) {
	for _, file := range []string{"output_get_media.mkv", "output-get-media-non-increasing-timecode.mkv", "test_mixed_tags.mkv", "empty-mkv-with-tags.mkv"} {
		t.Run(file, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "kvs", file))
			if err != nil {
				t.Skipf("no recordings here: %v", err)
			}
			emulator, e := emulate(t, kvstest.Options{})
			if err := emulator.AddRecording("real", bytes.NewReader(want)); err != nil {
				t.Fatal(err)
			}
			id := streamID{name: "real"}
			u, _, err := dataEndpoint(t.Context(), kinesisvideo.NewFromConfig(awsConfig(), controlPlane(e.url)), id, types.APINameGetMedia)
			if err != nil {
				t.Fatal(err)
			}
			client := newMediaClient(awsConfig(), time.Second, quiet)
			client.at(u)
			out, err := client.getMedia(t.Context(), newMediaRequest(id, source.StartSelector{Type: source.StartEarliest}))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Body.Close()
			got, err := io.ReadAll(out.Body)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(want) || out.Header.Get("Content-Type") != "video/webm" {
				t.Errorf("payload of %d bytes (%v) is not the file of %d", len(got), err, len(want))
			}
		})
	}
}

func TestAnAnswerThatDoesNotBeginIsGivenUp(t *testing.T) {
	e := mediaServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cfg := fromEarliest(e.url)
	cfg.HeaderTimeout = 20 * time.Millisecond
	_, err := openSession(t.Context(), awsConfig(), cfg)
	if err == nil || !strings.Contains(err.Error(), "timeout awaiting response headers") || !strings.Contains(err.Error(), "stream cam") {
		t.Errorf("error is %v", err)
	}
	e.gone()
}

// hostRecorder is an HTTP client that notes the host and goes nowhere.
type hostRecorder struct{ host string }

func (h *hostRecorder) Do(r *http.Request) (*http.Response, error) {
	h.host = r.URL.Host
	return nil, errors.New("no network")
}

// variants is what LoadAWS hands on of AWS_USE_FIPS_ENDPOINT and its like.
type variants struct{}

func (variants) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	return aws.FIPSEndpointStateEnabled, true, nil
}

func (variants) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	return aws.DualStackEndpointStateEnabled, true, nil
}

func TestFIPSAndDualStackAreForTheRegionsOwnEndpoint(t *testing.T) {
	awsCfg := awsConfig()
	awsCfg.ConfigSources = []any{variants{}}

	recorder := &hostRecorder{}
	awsCfg.HTTPClient = recorder
	if _, err := openSession(t.Context(), awsCfg, fromEarliest("")); err == nil {
		t.Error("no error without a network")
	}
	if want := "kinesisvideo-fips.eu-central-1.api.aws"; recorder.host != want {
		t.Errorf("the control plane is asked at %s, want %s", recorder.host, want)
	}

	awsCfg.HTTPClient = nil
	_, e := emulate(t, kvstest.Options{})
	for name, edit := range map[string]func(*aws.Config, *Config){
		"in the pipeline":          func(*aws.Config, *Config) {},
		"in the AWS configuration": func(a *aws.Config, c *Config) { a.BaseEndpoint, c.EndpointURL = aws.String(e.url), "" },
	} {
		a, c := awsCfg, fromEarliest(e.url)
		edit(&a, &c)
		s, err := openSession(t.Context(), a, c)
		if err != nil {
			t.Fatalf("endpoint %s: %v", name, err)
		}
		readAll(t, s)
	}
}

func TestADataEndpointThatIsNoURLIsRefused(t *testing.T) {
	for _, endpoint := range []string{"", "s-1.kinesisvideo.amazonaws.com", "ftp://host", "http://%"} {
		e := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"DataEndpoint":%q}`, endpoint)
		}))
		if _, err := openSession(t.Context(), awsConfig(), fromEarliest(e.url)); err == nil || !strings.Contains(err.Error(), "read data endpoint") {
			t.Errorf("%q: error is %v", endpoint, err)
		}
	}
}
