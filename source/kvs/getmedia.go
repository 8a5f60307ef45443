package kvs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvsframes/kvsframes/source"
)

// signingName is the service name in the scope of signatures, of the control plane and
// the data plane alike.
const signingName = "kinesisvideo"

// GetMediaInput and its parts have the fields that the SDK's media service gives them
// (Kinesis Video Streams API Reference, GetMedia).
type GetMediaInput struct {
	StartSelector *StartSelector
	// One of the two names the stream.
	StreamARN, StreamName *string
}

// StartSelector says where the payload starts.
type StartSelector struct {
	StartSelectorType   source.StartType
	AfterFragmentNumber *string
	ContinuationToken   *string
	// StartTimestamp is sent with millisecond precision.
	StartTimestamp *time.Time
}

// GetMediaOutput is an answer. The caller owns Payload and must close it.
type GetMediaOutput struct {
	ContentType *string
	Payload     io.ReadCloser
	// Date is when the service answered, by its own clock; zero when it does not say.
	Date time.Time
	// ResultMetadata holds the request id.
	ResultMetadata middleware.Metadata
}

func getMediaInput(id streamID, start source.StartSelector) *GetMediaInput {
	selector := &StartSelector{StartSelectorType: start.Type}
	switch start.Type {
	case source.StartFragmentNumber:
		selector.AfterFragmentNumber = &start.AfterFragmentNumber
	case source.StartProducerTimestamp, source.StartServerTimestamp:
		selector.StartTimestamp = &start.Timestamp
	case source.StartContinuationToken:
		selector.ContinuationToken = &start.ContinuationToken
	}
	return &GetMediaInput{StartSelector: selector, StreamARN: id.arnParam(), StreamName: id.nameParam()}
}

// MarshalJSON writes the request's body. A timestamp is a number of seconds since 1970.
func (in *GetMediaInput) MarshalJSON() ([]byte, error) {
	type selector struct {
		StartSelectorType   source.StartType
		AfterFragmentNumber *string     `json:",omitempty"`
		ContinuationToken   *string     `json:",omitempty"`
		StartTimestamp      json.Number `json:",omitempty"`
	}
	body := struct {
		StartSelector         *selector `json:",omitempty"`
		StreamARN, StreamName *string   `json:",omitempty"`
	}{nil, in.StreamARN, in.StreamName}
	if s := in.StartSelector; s != nil {
		body.StartSelector = &selector{s.StartSelectorType, s.AfterFragmentNumber, s.ContinuationToken, ""}
		if s.StartTimestamp != nil {
			seconds := float64(s.StartTimestamp.UnixMilli()) / 1000
			body.StartSelector.StartTimestamp = json.Number(strconv.FormatFloat(seconds, 'f', -1, 64))
		}
	}
	return json.Marshal(body)
}

// mediaClient calls GetMedia. The SDK's own module for it cannot be had in a version
// that works with the SDK's core of today, so this is what that module would be: a
// signed request, retried as the SDK retries, with the SDK's error types.
type mediaClient struct {
	url         string
	region      string
	credentials aws.CredentialsProvider
	http        aws.HTTPClient
	retryer     aws.Retryer
	signer      *v4.Signer
	userAgent   string
	log         *slog.Logger
	now         func() time.Time
	// clockOffset is how far the service's clock is ahead of this machine's.
	clockOffset time.Duration
}

// newMediaClient returns a client that has no endpoint yet.
func newMediaClient(awsCfg aws.Config, headerTimeout time.Duration, log *slog.Logger) (*mediaClient, error) {
	if awsCfg.Credentials == nil {
		return nil, errors.New("no AWS credentials are set up")
	}
	return &mediaClient{
		region:      awsCfg.Region,
		credentials: awsCfg.Credentials,
		http:        streamingClient(awsCfg.HTTPClient, headerTimeout),
		retryer:     newRetryer(awsCfg),
		signer:      v4.NewSigner(),
		userAgent:   userAgentID(awsCfg.AppID) + " aws-sdk-go-v2/" + aws.SDKVersion + " lang/go#" + runtime.Version()[2:] + " os/" + runtime.GOOS,
		log:         log,
		now:         time.Now,
	}, nil
}

// at sets the data endpoint.
func (c *mediaClient) at(endpoint *url.URL) { c.url = endpoint.JoinPath("getMedia").String() }

// userAgentID names the program in front of the name that the AWS configuration gives.
func userAgentID(appID string) string {
	if appID == "" {
		return "kvsframes"
	}
	return "kvsframes-" + appID
}

// streamingClient turns the configured client into one that is fit for an answer of many
// minutes: what is limited is the wait for its first byte. Connections are not
// kept, for a session ends with its connection.
func streamingClient(client aws.HTTPClient, headerTimeout time.Duration) aws.HTTPClient {
	var base *awshttp.BuildableClient
	switch c := client.(type) {
	case nil:
		base = awshttp.NewBuildableClient()
	case *awshttp.BuildableClient:
		base = c
	default:
		return client // whoever brings a client of their own has set it up
	}
	return base.WithTimeout(0).WithReadTimeout(0).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = headerTimeout
		t.DisableKeepAlives = true
	})
}

func newRetryer(awsCfg aws.Config) aws.Retryer {
	var r aws.Retryer
	if awsCfg.Retryer != nil {
		r = awsCfg.Retryer()
	} else {
		r = retry.NewStandard()
	}
	if awsCfg.RetryMaxAttempts > 0 {
		r = retry.AddWithMaxAttempts(r, awsCfg.RetryMaxAttempts)
	}
	return retry.AddWithErrorCodes(r, throttled)
}

// GetMedia makes the call, several times when it has to. The payload lives as long as
// ctx. A done ctx ends the call with its error.
func (c *mediaClient) GetMedia(ctx context.Context, in *GetMediaInput) (*GetMediaOutput, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	release := func(error) error { return nil }
	clockSet := false
	for attempt := 1; ; {
		out, err := c.attempt(ctx, body)
		_ = release(err) // gives a retry's token back when it has succeeded
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		limit := c.retryer.MaxAttempts()
		if !clockSet && c.setClock(err) && limit != 1 {
			clockSet = true
			continue
		}
		if limit > 0 && attempt >= limit || !c.retryer.IsErrorRetryable(err) {
			return nil, err
		}
		if release, err = c.pause(ctx, attempt, err); err != nil {
			return nil, err
		}
		attempt++
	}
}

// pause waits until it is time to try again after the attempt that ended with cause. It
// returns cause when the retryer has no tries to spare.
func (c *mediaClient) pause(ctx context.Context, attempt int, cause error) (release func(error) error, err error) {
	release, err = c.retryer.GetRetryToken(ctx, cause)
	if err != nil {
		return nil, cause
	}
	delay, err := c.retryer.RetryDelay(attempt, cause)
	if err != nil {
		return nil, cause
	}
	c.log.Warn("GetMedia is tried again", "attempt", attempt, "delay", delay, "error", cause)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return release, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// attempt makes the call once, with fresh credentials and a fresh signature.
func (c *mediaClient) attempt(ctx context.Context, body []byte) (*GetMediaOutput, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if err := c.sign(ctx, req, body); err != nil {
		return nil, err
	}
	// Not signed, as proxies may change them.
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")

	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &smithyhttp.RequestSendError{Err: err}
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close() // the answer is an error already
		return nil, readError(resp)
	}
	out := &GetMediaOutput{Payload: resp.Body}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		out.Date = date
	}
	if t := resp.Header.Get("Content-Type"); t != "" {
		out.ContentType = aws.String(t)
	}
	awsmiddleware.SetRequestIDMetadata(&out.ResultMetadata, requestID(resp.Header))
	return out, nil
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

// maxClockError is the difference of clocks above which a refused signature is taken for
// the clock's fault, as the SDK does. KVS takes 5 min.
const maxClockError = 4 * time.Minute

// setClock reports whether err comes of a wrong clock of this machine, which the Date of the
// answer then puts right for the next attempt.
func (c *mediaClient) setClock(err error) bool {
	var refusal *awshttp.ResponseError
	var code interface{ ErrorCode() string }
	if !errors.As(err, &refusal) || !errors.As(err, &code) || !isSignatureCode(code.ErrorCode()) {
		return false
	}
	date, err := http.ParseTime(refusal.Response.Header.Get("Date"))
	if err != nil {
		return false
	}
	offset := date.Sub(c.now())
	if (offset - c.clockOffset).Abs() <= maxClockError {
		return false
	}
	c.log.Warn("this machine's clock is wrong, requests are signed with the service's", "offset", offset.Round(time.Second))
	c.clockOffset = offset
	return true
}
