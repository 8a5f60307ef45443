package kvs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
)

// throttled is the code of a call that came too soon after others. The SDK does not
// retry it by itself, as its status is 400.
const throttled = "ClientLimitExceededException"

// codeInvalid is the code of a call with an argument that is not valid.
const codeInvalid = "InvalidArgumentException"

// dataEndpoint returns the base URL at which GetMedia of the stream is served.
func dataEndpoint(ctx context.Context, awsCfg aws.Config, id streamID, endpointURL string) (*url.URL, error) {
	client := kinesisvideo.NewFromConfig(awsCfg, controlPlane(endpointURL))
	out, err := client.GetDataEndpoint(ctx, &kinesisvideo.GetDataEndpointInput{
		APIName:    types.APINameGetMedia,
		StreamName: id.nameParam(),
		StreamARN:  id.arnParam(),
	})
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, describe("GetDataEndpoint", id, err)
	}
	u, err := url.Parse(aws.ToString(out.DataEndpoint))
	if err == nil && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		err = errors.New("not an http or https URL")
	}
	if err != nil {
		return nil, fmt.Errorf("read data endpoint %.300q of stream %s: %w", aws.ToString(out.DataEndpoint), id.name, unwrapURL(err))
	}
	return u, nil
}

// unwrapURL returns what is wrong with a URL, without the URL itself, which may be long.
func unwrapURL(err error) error {
	var wrong *url.Error
	if errors.As(err, &wrong) {
		return wrong.Err
	}
	return err
}

// withoutKeepAlive makes the client close its connections after each call: the next one
// follows about 45 min later.
func withoutKeepAlive(client kinesisvideo.HTTPClient) kinesisvideo.HTTPClient {
	if c, ok := client.(*awshttp.BuildableClient); ok {
		return c.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
	}
	return client // a client of another type comes fully set up
}

// controlPlane sets up the client of the control plane. The FIPS and dual-stack switches choose
// among the region's endpoints. The SDK refuses them together with a given endpoint, so that
// they are cleared then.
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
