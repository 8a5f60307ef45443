// Package s3 stores objects in Amazon S3 and in servers that speak its protocol. It is the only package
// that imports the S3 client.
//
// [Open] returns a sink.Store for a bucket; region and credentials come from the usual AWS chain where the
// settings name none. A put is one request, which is repeated while its trouble may pass, and an
// object of more than 8 MiB that is written piece by piece is a multipart upload. What a server refuses
// is an [Error].
//
// Putting takes the permission s3:PutObject. Large objects also take s3:AbortMultipartUpload, and
// s3:ListBucketMultipartUploads to find what killed processes have left.
package s3

import (
	"bytes"
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
	"github.com/aws/smithy-go/logging"

	"github.com/kvsframes/kvsframes/sink"
)

const (
	// maxKeyBytes is the largest size of a key with its prefix, in bytes (Amazon
	// S3 User Guide, Naming Amazon S3 objects).
	maxKeyBytes = 1024

	maxAttempts = 5
	// openAttempts is lower: at the start somebody is waiting for the answer.
	openAttempts = 3
	maxBackoff   = 20 * time.Second
	// defaultTimeout is how long an answer may take. One attempt may take attemptShares times as long: the
	// longest is that of a big raw frame on a slow line.
	defaultTimeout = time.Minute
	attemptShares  = 5
	// idleConnections is the largest number that is kept: as many as objects may be written
	// at once, so that none is closed between two of them.
	idleConnections = 1024
	// defaultRegion signs requests to a server of its own endpoint, where regions
	// have no meaning, when nothing else names one.
	defaultRegion = "us-east-1"
	standardClass = "STANDARD"
)

// Store is a sink.Store that puts each object with one PutObject request, with a
// CRC32 that the server checks unless the destination wants none. An answer without receipt
// (ETag or checksum), or with that of other bytes, does not count: the request is repeated.
type Store struct {
	client      *s3.Client
	destination Config
	prefix      string // empty, or with a slash at its end
	checksum    bool   // objects get one
}

var _ sink.Store = (*Store)(nil)

// Open returns a store for a destination of type s3. Credentials, and the region
// when the destination names none, come from the AWS chain. It asks once for the
// bucket, so that a wrong name, region or endpoint ends a run before it starts;
// a refusal of that question (HTTP 403, 405 or 501) is no error, because s3:PutObject alone
// is enough to work.
func Open(ctx context.Context, d Config) (*Store, error) {
	client, checksum, err := newClient(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", d.Bucket, err)
	}
	s := &Store{client: client, destination: d, checksum: checksum}
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

// unasked reports whether a server refused to answer a question, rather than to do what it was about:
// one may put what one may not ask for, and some servers do not know the question.
func unasked(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// newClient returns a client as the AWS chain and its environment (AWS_MAX_ATTEMPTS, AWS_RETRY_MODE,
// AWS_REQUEST_CHECKSUM_CALCULATION) ask for it. checksum reports whether objects get one.
func newClient(ctx context.Context, d Config) (client *s3.Client, checksum bool, err error) {
	loaded, err := loadAWS(ctx, d)
	if err != nil {
		return nil, false, err
	}
	if loaded.Region == "" {
		if d.EndpointURL == "" {
			return nil, false, errors.New("no region: set destination.region, AWS_REGION or a profile with one")
		}
		loaded.Region = defaultRegion
	}
	checksum = d.Checksum != ChecksumNone && loaded.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
	client = s3.NewFromConfig(loaded, func(o *s3.Options) {
		if d.EndpointURL != "" {
			o.BaseEndpoint = &d.EndpointURL
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

// loadAWS returns the configuration of the AWS chain.
func loadAWS(ctx context.Context, d Config) (aws.Config, error) {
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(d.Region), config.WithLogger(logging.Nop{}), config.WithHTTPClient(httpClient(d.Timeout)))
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	return loaded, nil
}

// newRetryer is the SDK's, but for its token bucket: that gives up
// after some hundred retries of all requests together, and when a server asks to
// slow down, slowing down is right. What bounds the load is max_in_flight.
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

// Put implements sink.Store. The key goes behind the destination's prefix.
func (s *Store) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	full, err := s.fullKey(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tried := attempts{body: body}
	_, err = s.client.PutObject(ctx, s.request(full, body, opts), s.tries(&tried))
	if err == nil {
		return nil
	}
	err = s.explain(ctx, "put", full, err)
	if opts.IfAbsent && errors.Is(err, sink.ErrExist) && tried.n > 1 {
		// When the answer to a conditional put is lost, the repeated put finds the object of
		// the first one and is refused; that is a success.
		if ours, _ := s.Holds(ctx, key, body); ours {
			return nil
		}
	}
	return err
}

// fullKey returns a key with the prefix before it, or an error that is sink.ErrKey.
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

func (s *Store) request(key string, body []byte, opts sink.PutOptions) *s3.PutObjectInput {
	in := &s3.PutObjectInput{
		Bucket: &s.destination.Bucket,
		Key:    &key,
		// The client reads the body again for each attempt, which takes a Seeker.
		Body:          bytes.NewReader(body),
		ContentLength: aws.Int64(int64(len(body))),
		Metadata:      opts.Metadata,
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
	// Not every server knows the header, and without it S3 takes STANDARD.
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
