package kvstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kvsframes/kvsframes/media"
)

// epoch is when the synthetic recording begins, on the producer's clock.
var epoch = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// synthetic returns a recording of n chunks of 1 s, 4 blocks each, whose server times
// lie 10 ms apart, as those of a fast upload do.
func synthetic(n int) (chunks [][]byte, payload []byte) {
	for i := range n {
		number := fmt.Sprintf("9134385233318143239268206260774392014626489%04d", i+1)
		c := AppendChunk(nil, Chunk{
			FragmentNumber:    number,
			ProducerTime:      epoch.Add(time.Duration(i) * time.Second),
			ServerTime:        epoch.Add(time.Hour + time.Duration(i)*10*time.Millisecond),
			Tracks:            []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: 16, Height: 16}},
			Timecode:          time.Duration(i) * time.Second,
			Blocks:            syntheticBlocks(i, 250*time.Millisecond),
			ContinuationToken: number,
			MillisBehindNow:   int64(n-1-i) * 1000,
		})
		chunks = append(chunks, c)
		payload = append(payload, c...)
	}
	return chunks, payload
}

func syntheticBlocks(chunk int, step time.Duration) []Block {
	var blocks []Block
	for j := range 4 {
		blocks = append(blocks, Block{
			Track: 1, Key: j == 0, Time: time.Duration(j) * step,
			Data: fmt.Appendf(nil, "chunk %d block %d", chunk, j),
		})
	}
	return blocks
}

// emulator is a server under test, with the count of handlers that have returned.
type emulator struct {
	*Server
	url      string
	returned chan struct{}
}

func serve(t *testing.T, opts Options) *emulator {
	t.Helper()
	if opts.Quotas.GetMediaCalls == 0 {
		opts.Quotas.GetMediaCalls = -1 // most tests are faster than the service lets a client be
	}
	e := &emulator{Server: NewServer(opts), returned: make(chan struct{}, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { e.returned <- struct{}{} }()
		e.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	e.url = srv.URL
	return e
}

func (e *emulator) add(t *testing.T, name string, payload []byte) {
	t.Helper()
	if err := e.AddRecording(name, bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
}

// call is a signed request; change edits it before it is signed, tamper after.
type call struct {
	path, body     string
	key, secret    string
	token          string
	region         string
	service        string
	at             time.Time
	change, tamper func(*http.Request)
}

func (c call) request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.change != nil {
		c.change(r)
	}
	sum := sha256.Sum256([]byte(c.body))
	credentials := aws.Credentials{AccessKeyID: or(c.key, "test"), SecretAccessKey: or(c.secret, "test"), SessionToken: c.token}
	at := c.at
	if at.IsZero() {
		at = time.Now()
	}
	err = v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), or(c.service, "kinesisvideo"), or(c.region, "us-east-1"), at)
	if err != nil {
		t.Fatal(err)
	}
	if c.tamper != nil {
		c.tamper(r)
	}
	return r
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (c call) send(t *testing.T, url string) *http.Response {
	t.Helper()
	resp, err := http.DefaultClient.Do(c.request(t, url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func getMedia(selector string) call {
	return call{path: "/getMedia", body: `{"StreamName":"cam","StartSelector":` + selector + `}`}
}

const fromEarliest = `{"StartSelectorType":"EARLIEST"}`

// wantRefusal checks everything that a client reads of a refusal.
func wantRefusal(t *testing.T, resp *http.Response, status int, code string) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("X-Amzn-Errortype"); resp.StatusCode != status || got != code {
		t.Errorf("answer is %d %s %s, want %d %s", resp.StatusCode, got, body, status, code)
	}
	if id := resp.Header.Get("X-Amzn-Requestid"); len(id) != 36 {
		t.Errorf("request id is %q", id)
	}
	var message struct{ Message string }
	if err := json.Unmarshal(body, &message); err != nil || message.Message == "" {
		t.Errorf("body is %q, want JSON with a Message", body)
	}
}

func payloadOf(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	payload, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("answer is %d %s, %d bytes, %v", resp.StatusCode, resp.Header, len(payload), err)
	}
	return payload
}

func TestARequestWithoutAValidSignatureIsRefused(t *testing.T) {
	ok := getMedia(fromEarliest)
	with := func(edit func(*call)) call {
		c := ok
		edit(&c)
		return c
	}
	cases := []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"no signature", with(func(c *call) { c.tamper = func(r *http.Request) { r.Header.Del("Authorization") } }), 403, "MissingAuthenticationTokenException"},
		{"wrong secret", with(func(c *call) { c.secret = "wrong" }), 403, "InvalidSignatureException"},
		{"unknown key", with(func(c *call) { c.key = "wrong" }), 403, "UnrecognizedClientException"},
		{"other service", with(func(c *call) { c.service = "s3" }), 403, "InvalidSignatureException"},
		{"other region", with(func(c *call) { c.region = "eu-west-1" }), 403, "InvalidSignatureException"},
		{"expired", with(func(c *call) { c.at = time.Now().Add(-6 * time.Minute) }), 403, "InvalidSignatureException"},
		{"from the future", with(func(c *call) { c.at = time.Now().Add(6 * time.Minute) }), 403, "InvalidSignatureException"},
		{"body changed after signing", with(func(c *call) {
			c.tamper = func(r *http.Request) {
				r.Body = io.NopCloser(strings.NewReader(strings.Replace(c.body, "EARLIEST", "NOW     ", 1)))
			}
		}), 403, "InvalidSignatureException"},
		{"signed header changed", with(func(c *call) {
			c.tamper = func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
		}), 403, "InvalidSignatureException"},
		{"amz header not signed", with(func(c *call) {
			c.tamper = func(r *http.Request) { r.Header.Set("X-Amz-Late", "1") }
		}), 403, "InvalidSignatureException"},
		{"host not signed", with(func(c *call) { c.tamper = editAuth("host;", "") }), 403, "InvalidSignatureException"},
		{"date of the scope is another day", with(func(c *call) { c.tamper = editAuth(time.Now().UTC().Format("/20060102/"), "/20200101/") }), 403, "InvalidSignatureException"},
		{"no date", with(func(c *call) { c.tamper = func(r *http.Request) { r.Header.Del("X-Amz-Date") } }), 400, "IncompleteSignatureException"},
		{"other algorithm", with(func(c *call) { c.tamper = editAuth("AWS4-HMAC-SHA256", "AWS3") }), 400, "IncompleteSignatureException"},
		{"no signed headers", with(func(c *call) { c.tamper = editAuth("SignedHeaders", "Headers") }), 400, "IncompleteSignatureException"},
		{"scope too short", with(func(c *call) { c.tamper = editAuth("/kinesisvideo/", "/") }), 400, "IncompleteSignatureException"},
		{"signature not hex", with(func(c *call) { c.tamper = editAuth("Signature=", "Signature=z") }), 400, "IncompleteSignatureException"},
		{"no token where one is needed", ok, 403, "UnrecognizedClientException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opts := Options{Region: "us-east-1"}
			if strings.Contains(c.name, "token") {
				opts.SessionToken = "session"
			}
			e := serve(t, opts)
			_, payload := synthetic(1)
			e.add(t, "cam", payload)
			wantRefusal(t, c.call.send(t, e.url), c.status, c.code)
		})
	}
}

func editAuth(old, replacement string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, replacement, 1))
	}
}

func TestARequestWithAValidSignatureIsServed(t *testing.T) {
	_, payload := synthetic(2)
	later := time.Now().Add(3 * time.Hour)
	cases := []struct {
		name string
		opts Options
		call func(*call)
	}{
		{"default credentials", Options{}, func(*call) {}},
		{"own credentials", Options{AccessKey: "key", SecretKey: "secret"}, func(c *call) { c.key, c.secret = "key", "secret" }},
		{"any token", Options{}, func(c *call) { c.token = "any" }},
		{"the token", Options{SessionToken: "session"}, func(c *call) { c.token = "session" }},
		{"any region", Options{}, func(c *call) { c.region = "ap-south-1" }},
		{"clock of the server", Options{Now: func() time.Time { return later }}, func(c *call) { c.at = later }},
		{"4 min late", Options{}, func(c *call) { c.at = time.Now().Add(-4 * time.Minute) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, c.opts)
			e.add(t, "cam", payload)
			request := getMedia(fromEarliest)
			c.call(&request)
			if got := payloadOf(t, request.send(t, e.url)); !bytes.Equal(got, payload) {
				t.Errorf("payload has %d bytes, want %d", len(got), len(payload))
			}
		})
	}
}

func TestUnknownOperationsAreAnsweredInXML(t *testing.T) {
	e := serve(t, Options{})
	for _, path := range []string{"/", "/getClip", "/getMedia/", "/endpoint-1", "/endpoint-1/getClip"} {
		resp := call{path: path}.send(t, e.url)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 403 || !bytes.HasPrefix(body, []byte("<AccessDeniedException>")) {
			t.Errorf("%s: answer is %d %q, %v", path, resp.StatusCode, body, err)
		}
	}
	resp, err := http.Get(e.url + "/getMedia")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("GET is answered with %d", resp.StatusCode)
	}
}

func TestStartServesUntilItsContextEnds(t *testing.T) {
	s := NewServer(Options{Pace: PaceRealtime, IdleEnd: time.Hour})
	_, payload := synthetic(3)
	if err := s.AddRecording("cam", bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	url, wait, err := s.Start(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("URL is %s, want loopback", url)
	}
	resp := getMedia(fromEarliest).send(t, url)
	if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := wait(); err != nil {
		t.Errorf("server ended with %v", err)
	}
	if n := s.Active(); n != 0 {
		t.Errorf("%d handlers are left", n)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the payload ended cleanly, want a broken connection")
	}
}

func TestStopEndsThoughAClientDoesNotRead(t *testing.T) {
	s := NewServer(Options{})
	huge := AppendChunk(nil, Chunk{
		FragmentNumber: fragmentNumber(0),
		Blocks:         []Block{{Track: 1, Key: true, Data: make([]byte, 16<<20)}},
	})
	if err := s.AddRecording("cam", bytes.NewReader(huge)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	url, wait, err := s.Start(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	getMedia(fromEarliest).send(t, url) // its body is not read: the handler is stuck in a write
	cancel()
	if err := wait(); err != nil || s.Active() != 0 {
		t.Errorf("server ended with %v, %d handlers left", err, s.Active())
	}
}

func TestStartReportsAnAddressThatItCannotHave(t *testing.T) {
	if _, _, err := NewServer(Options{}).Start(t.Context(), "127.0.0.1:99999"); err == nil {
		t.Error("no error")
	}
}
