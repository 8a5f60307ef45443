package kvs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
)

// throttled is the code of a call that came too soon after others. The SDK does not retry it, as its status is 400.
const throttled = "ClientLimitExceededException"

// codeInvalid is the code of a call with an argument that is not valid.
const codeInvalid = "InvalidArgumentException"

// dataEndpoint returns the base URL of an operation of the stream, and the time of the answer by the service's
// clock, zero if the answer has none.
func dataEndpoint(ctx context.Context, client *kinesisvideo.Client, id streamID, operation types.APIName) (*url.URL, time.Time, error) {
	out, err := client.GetDataEndpoint(ctx, &kinesisvideo.GetDataEndpointInput{
		APIName:    operation,
		StreamName: id.nameParam(),
		StreamARN:  id.arnParam(),
	})
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, time.Time{}, describe("GetDataEndpoint", id, err)
	}
	at, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
	u, err := url.Parse(aws.ToString(out.DataEndpoint))
	if err == nil && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		err = errors.New("not an http or https URL")
	}
	if err != nil {
		return nil, at, fmt.Errorf("read data endpoint %.300q of stream %s: %w", aws.ToString(out.DataEndpoint), id.name, unwrapURL(err))
	}
	return u, at, nil
}

// unwrapURL returns the problem with a URL, without the URL itself, which may be long.
func unwrapURL(err error) error {
	var wrong *url.Error
	if errors.As(err, &wrong) {
		return wrong.Err
	}
	return err
}

// withoutKeepAlive makes the client close its connections after each call: the next call follows about 45 min later.
func withoutKeepAlive(client kinesisvideo.HTTPClient) kinesisvideo.HTTPClient {
	if c, ok := client.(*awshttp.BuildableClient); ok {
		return c.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
	}
	return client // a client of another type is used unchanged
}

// controlPlane configures the client of the control plane. The FIPS and dual-stack switches choose among the region's
// endpoints. The SDK rejects them together with a given endpoint, so they are cleared then.
func controlPlane(endpointURL string) func(*kinesisvideo.Options) {
	return func(o *kinesisvideo.Options) {
		if endpointURL != "" {
			o.BaseEndpoint = aws.String(endpointURL)
		}
		if o.BaseEndpoint != nil {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		}
		o.AppID = userAgentID(o.AppID)
		o.HTTPClient = bounded(withoutKeepAlive(o.HTTPClient))
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, throttled)
	}
}
