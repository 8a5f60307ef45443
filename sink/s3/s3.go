// Package s3 stores objects in Amazon S3 and in servers that speak its protocol. It is the only package
// that imports the S3 client.
//
// [Open] returns a sink.Store for a bucket. Region and credentials come from the usual AWS chain unless the
// settings name them. A put is one request, which is repeated after temporary failures. An object of more than
// 8 MiB that is written piece by piece is a multipart upload. The error of a request is an [Error].
//
// Putting requires the permission s3:PutObject. Large objects also require s3:AbortMultipartUpload, and
// s3:ListBucketMultipartUploads to find the leftovers of killed processes. Comparing objects requires s3:GetObject, and s3:ListBucket
// to learn that there is none.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/kvsframes/kvsframes/internal/awschain"
	"github.com/kvsframes/kvsframes/sink"
)

const (
	// maxKeyBytes is the largest size of a key with its prefix, in bytes (Amazon S3 User Guide, Naming Amazon
	// S3 objects).
	maxKeyBytes = 1024

	// maxAttempts is low, because the sink repeats what fails for longer (see sink.Passing): it knows when another call of its own
	// succeeds, and reports an outage. The second attempt hides what fails once.
	maxAttempts = 2
	// openAttempts is higher, because nothing else repeats these calls.
	openAttempts = 3
	maxBackoff   = 20 * time.Second
	// defaultTimeout is how long an answer may take. One attempt may take attemptShares times as long: the
	// longest attempt sends a big raw frame over a slow connection.
	defaultTimeout = time.Minute
	attemptShares  = 5
	// idleConnections is the largest number of idle connections that are kept: as many as objects may be
	// written at once, so that none is closed between two objects.
	idleConnections = 1024
	// defaultRegion signs requests to a custom endpoint, where regions have no meaning, when no region is set.
	defaultRegion = "us-east-1"
	standardClass = "STANDARD"
)

// Store is a sink.Store that puts each object with one PutObject request. The request has a CRC32, which the
// server verifies, unless the destination wants none. The store repeats a request whose answer has no receipt
// (ETag or checksum), or the receipt of other bytes.
type Store struct {
	client      *s3.Client
	destination Config
	prefix      string // empty, or ends with a slash
	checksum    bool   // objects have one
	room        room   // for parts in memory
}

var _ sink.Store = (*Store)(nil)

// Open returns a store for a destination of type s3. Credentials, and the region if the destination names
// none, come from the AWS chain. Open sends one request to the bucket, so that a wrong name, region or endpoint
// is found before a run starts. A refusal (HTTP 403, 405 or 501) is not an error, because s3:PutObject alone
// suffices.
func Open(ctx context.Context, d Config) (*Store, error) {
	client, checksum, err := newClient(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", d.Bucket, err)
	}
	s := &Store{client: client, destination: d, checksum: checksum}
	s.room.give(partsInMemory)
	if prefix := strings.TrimSuffix(d.Prefix, "/"); prefix != "" {
		s.prefix = prefix + "/"
	}
	_, err = client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &d.Bucket}, func(o *s3.Options) {
		if o.RetryMaxAttempts == 0 {
			o.RetryMaxAttempts = openAttempts
		}
		o.APIOptions = append(o.APIOptions, s.eachAttempt(&attempts{}))
	})
	if err != nil {
		if err := s.explain(ctx, "open", "", err); !unasked(err) {
			return nil, err
		}
	}
	return s, nil
}

// unasked reports whether a server refused to answer a query about a bucket or an object: a user may be
// allowed to put what they may not query, and some servers do not support the query.
func unasked(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) || errors.As(err, new(*credentialsError)) {
		return false
	}
	switch refused.Status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// newClient returns a client with the settings of the AWS chain and its environment (AWS_MAX_ATTEMPTS,
// AWS_RETRY_MODE, AWS_REQUEST_CHECKSUM_CALCULATION). checksum reports whether objects have a checksum.
func newClient(ctx context.Context, d Config) (client *s3.Client, checksum bool, err error) {
	loaded, err := loadAWS(ctx, d)
	if err != nil {
		return nil, false, err
	}
	if loaded.Region == "" {
		if d.EndpointURL == "" {
			return nil, false, errors.New("no region: set region, AWS_REGION or a profile with one")
		}
		loaded.Region = defaultRegion
	}
	checksum = d.Checksum != ChecksumNone && loaded.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
	client = s3.NewFromConfig(loaded, func(o *s3.Options) {
		if d.EndpointURL != "" {
			o.BaseEndpoint = &d.EndpointURL
		}
		if o.BaseEndpoint != nil { // the switches choose among the region's endpoints, and the SDK rejects them here
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		}
		if cache, ok := o.Credentials.(*aws.CredentialsCache); ok {
			o.Credentials = credentials{cache}
		}
		o.UsePathStyle = d.ForcePathStyle
		o.Retryer = newRetryer(loaded.RetryMode)
		o.DisableLogOutputChecksumValidationSkipped = true
		if !checksum {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
	})
	return client, checksum, nil
}

// loadAWS returns the configuration of the AWS chain, for the identity of the destination.
func loadAWS(ctx context.Context, d Config) (aws.Config, error) {
	id := awschain.Identity{Region: d.Region, Profile: d.Profile, RoleARN: string(d.RoleARN)}
	return awschain.Load(ctx, id, config.WithHTTPClient(httpClient(d.Timeout)))
}

// newRetryer returns the SDK's retryer without its token bucket. The bucket gives up after some hundred retries
// of all requests together, but a server that asks to slow down should get slower requests, not fewer.
// max_in_flight bounds the load.
func newRetryer(mode aws.RetryMode) aws.Retryer {
	standard := func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.RateLimiter = ratelimit.None
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(judge(err).passes)
		})}
	}
	if mode == aws.RetryModeAdaptive {
		return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
			o.StandardOptions = append(o.StandardOptions, standard)
		})
	}
	return retry.NewStandard(standard)
}

// httpClient returns a client whose requests end when an answer takes longer than timeout; 0 is the default.
func httpClient(timeout time.Duration) *awshttp.BuildableClient {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return awshttp.NewBuildableClient().WithTimeout(attemptShares * timeout).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = idleConnections
		t.MaxIdleConns = 2 * t.MaxIdleConnsPerHost
		t.ResponseHeaderTimeout = timeout
	})
}

// Put implements sink.Store. It appends the key to the destination's prefix.
func (s *Store) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	return s.put(ctx, key, whole(body), opts)
}

func (s *Store) put(ctx context.Context, key string, body *part, opts sink.PutOptions) error {
	full, err := s.fullKey(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tried := attempts{body: body, confirm: opts.Confirm}
	_, err = s.client.PutObject(ctx, s.request(full, body, opts), s.tries(&tried))
	if err == nil {
		return nil
	}
	err = s.explain(ctx, "put", full, err)
	if opts.IfAbsent && errors.Is(err, sink.ErrExist) && tried.n > 1 {
		// If the answer to a conditional put was lost, the repeated put finds the object of the first one and is
		// refused. That is a success.
		if want, sumErr := body.content(); sumErr == nil {
			if ours, _ := s.has(ctx, key, want); ours {
				return nil
			}
		}
	}
	return err
}

// fullKey returns the prefix followed by the key, or an error that is sink.ErrKey.
func (s *Store) fullKey(key string) (string, error) {
	if err := sink.CheckKey(key); err != nil {
		return "", err
	}
	full := s.prefix + key
	if len(full) > maxKeyBytes {
		return "", fmt.Errorf("%w: %q has %d bytes with its prefix, maximum is %d", sink.ErrKey, key, len(full), maxKeyBytes)
	}
	return full, nil
}

// request returns the request that puts an object.
func (s *Store) request(key string, body *part, opts sink.PutOptions) *s3.PutObjectInput {
	in := &s3.PutObjectInput{
		Bucket: &s.destination.Bucket,
		Key:    &key,
		// The client reads the body again for each attempt, which requires a Seeker.
		Body:          body.reader(),
		ContentLength: aws.Int64(int64(body.size)),
		Metadata:      opts.Metadata,
		Tagging:       tagging(s.destination.Tags),
	}
	if s.checksum {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	if opts.ContentType != "" {
		in.ContentType = &opts.ContentType
	}
	if opts.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	// Not every server knows the header, and S3 uses STANDARD without it.
	if class := s.destination.StorageClass; class != standardClass {
		in.StorageClass = types.StorageClass(class)
	}
	if e := s.destination.ServerSideEncryption; e.Type != "" {
		in.ServerSideEncryption = types.ServerSideEncryption(e.Type)
		if e.KMSKeyID != "" {
			in.SSEKMSKeyId = &e.KMSKeyID
		}
	}
	return in
}
