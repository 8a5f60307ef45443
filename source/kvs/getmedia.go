package kvs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvsframes/kvsframes/source"
)

// signingName is the service name in the scope of signatures, for both the control plane and the data plane.
const signingName = "kinesisvideo"

// mediaRequest is the body of a GetMedia call (Kinesis Video Streams API Reference, GetMedia).
type mediaRequest struct {
	StartSelector startSelector
	// Exactly one of the two is set.
	StreamARN, StreamName *string `json:",omitempty"`
}

// startSelector is where the payload starts.
type startSelector struct {
	StartSelectorType   source.StartType
	AfterFragmentNumber string `json:",omitempty"`
	ContinuationToken   string `json:",omitempty"`
	// StartTimestamp is a number of seconds since 1970, to the millisecond.
	StartTimestamp json.Number `json:",omitempty"`
}

func newMediaRequest(id streamID, start source.StartSelector) mediaRequest {
	selector := startSelector{StartSelectorType: start.Type}
	switch start.Type {
	case source.StartFragmentNumber:
		selector.AfterFragmentNumber = start.AfterFragmentNumber
	case source.StartProducerTimestamp, source.StartServerTimestamp:
		seconds := float64(start.Timestamp.UnixMilli()) / 1000
		selector.StartTimestamp = json.Number(strconv.FormatFloat(seconds, 'f', -1, 64))
	case source.StartContinuationToken:
		selector.ContinuationToken = start.ContinuationToken
	}
	return mediaRequest{StartSelector: selector, StreamARN: id.arnParam(), StreamName: id.nameParam()}
}

// mediaClient calls GetMedia, without retries: source.Live decides when to call again. The SDK's own module for
// the call does not work with the current core of the SDK. The SDK's signer signs requests, and errors have the
// SDK's types.
type mediaClient struct {
	url         string
	region      string
	credentials aws.CredentialsProvider
	http        aws.HTTPClient
	signer      *v4.Signer
	userAgent   string
	log         *slog.Logger
	now         func() time.Time
	// clockOffset is how far the service's clock is ahead of this machine's.
	clockOffset time.Duration
}

// newMediaClient returns a client that has no endpoint yet.
func newMediaClient(awsCfg aws.Config, headerTimeout time.Duration, log *slog.Logger) *mediaClient {
	return &mediaClient{
		region:      awsCfg.Region,
		credentials: awsCfg.Credentials,
		http:        streamingClient(awsCfg.HTTPClient, headerTimeout),
		signer:      v4.NewSigner(),
		userAgent:   userAgentID(awsCfg.AppID) + " aws-sdk-go-v2/" + aws.SDKVersion + " lang/go#" + runtime.Version()[2:] + " os/" + runtime.GOOS,
		log:         log,
		now:         time.Now,
	}
}

// at sets the data endpoint.
func (c *mediaClient) at(endpoint *url.URL) { c.url = endpoint.JoinPath("getMedia").String() }

// userAgentID returns the program's name, followed by the one in the AWS configuration.
func userAgentID(appID string) string {
	if appID == "" {
		return "kvsframes"
	}
	return "kvsframes-" + appID
}

// buildable returns the configured client, and false if it is of a type whose transport cannot be set.
func buildable(client aws.HTTPClient) (c *awshttp.BuildableClient, ok bool) {
	if client == nil {
		return awshttp.NewBuildableClient(), true
	}
	c, ok = client.(*awshttp.BuildableClient)
	return c, ok
}

// streamingClient returns the configured client without a limit on the whole answer, which may take many
// minutes, but with a limit on the wait for its first byte. Connections are not kept, since a session ends with
// its connection.
func streamingClient(client aws.HTTPClient, headerTimeout time.Duration) aws.HTTPClient {
	base, ok := buildable(client)
	if !ok {
		return client // a client of another type is used unchanged
	}
	return base.WithTimeout(0).WithReadTimeout(0).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = headerTimeout
		t.DisableKeepAlives = true
	})
}

// getMedia makes the call, with fresh credentials and a fresh signature. It returns only a successful answer.
// The body of the answer ends with ctx; the caller closes it.
func (c *mediaClient) getMedia(ctx context.Context, in mediaRequest) (*http.Response, error) {
	resp, err := c.send(ctx, in)
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	c.learnClock(err)
	return nil, err
}

// request returns a signed request.
func (c *mediaClient) request(ctx context.Context, in mediaRequest) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req, c.sign(ctx, req, body)
}

func (c *mediaClient) send(ctx context.Context, in mediaRequest) (*http.Response, error) {
	req, err := c.request(ctx, in)
	if err != nil {
		return nil, err
	}
	// The header is not signed, as proxies may change it.
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")

	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &smithyhttp.RequestSendError{Err: err}
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close() // the answer is already an error
		// The status suffices where the body does not end.
		defer time.AfterFunc(answerTime, func() { _ = resp.Body.Close() }).Stop()
		return nil, readError(resp)
	}
	return resp, nil
}

func (c *mediaClient) sign(ctx context.Context, req *http.Request, body []byte) error {
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("get AWS credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	err = c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), signingName, c.region, c.now().Add(c.clockOffset))
	if err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	return nil
}

// maxClockError is the difference of clocks above which the clock is taken to be the cause of a refused
// signature, as in the SDK. KVS tolerates 5 min.
const maxClockError = 4 * time.Minute

// signatureCodes are the codes of errors that a wrong clock can cause.
var signatureCodes = []string{
	"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "AuthFailure",
}

// learnClock sets the clock by the Date of the answer, if a wrong clock may be the cause of err. The next call is
// signed with the service's time.
func (c *mediaClient) learnClock(err error) {
	var refusal *awshttp.ResponseError
	var code interface{ ErrorCode() string }
	if !errors.As(err, &refusal) || !errors.As(err, &code) || !slices.Contains(signatureCodes, code.ErrorCode()) {
		return
	}
	if date, err := http.ParseTime(refusal.Response.Header.Get("Date")); err == nil {
		c.setClock(date)
	}
}

// setClock records how far this machine's clock is off, by the service's time now.
func (c *mediaClient) setClock(date time.Time) {
	offset := date.Sub(c.now())
	if (offset - c.clockOffset).Abs() <= maxClockError {
		return
	}
	c.log.Warn("this machine's clock is wrong, requests are signed with the service's", "offset", offset.Round(time.Second))
	c.clockOffset = offset
}
