// Package awschain loads the configuration of the AWS chain: environment, shared files, container and instance roles.
package awschain

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

const (
	// renewBefore is how long before they expire the credentials of a role are renewed: a request that was signed with them may
	// wait for that long. STS grants 15 minutes.
	renewBefore = 5 * time.Minute
	// answerLimit bounds the wait for STS: all requests of the role wait as well.
	answerLimit = 20 * time.Second
	// session names the sessions of a role in the account's logs.
	session = "kvsframes"
)

// Identity states who makes calls, and in which region, where that differs from the chain of the process. Empty fields do not.
type Identity struct {
	Region string
	// Profile is one of the shared files. It precedes credentials in the environment.
	Profile string
	// RoleARN is a role that the identity of the chain, or of the profile, assumes.
	RoleARN string
}

// RoleError is the reason why a role could not be assumed.
type RoleError struct {
	Role string
	Err  error
}

// Error implements error.
func (e *RoleError) Error() string { return "assume role " + e.Role + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *RoleError) Unwrap() error { return e.Err }

// Load returns the configuration of an identity. It makes no call for a role: the first request does, and later ones renew the
// credentials before they expire. An error of theirs is then a *RoleError.
func Load(ctx context.Context, id Identity, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	options = append(options, config.WithRegion(id.Region), config.WithSharedConfigProfile(id.Profile), config.WithLogger(logging.Nop{}))
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	if id.RoleARN != "" {
		client := sts.NewFromConfig(cfg, func(o *sts.Options) {
			if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
				o.HTTPClient = c.WithTimeout(answerLimit)
			}
			if o.BaseEndpoint != nil { // the switches choose among the region's endpoints, and the SDK rejects them here
				o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
				o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
			}
		})
		role := stscreds.NewAssumeRoleProvider(client, id.RoleARN, func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = session })
		cfg.Credentials = aws.NewCredentialsCache(provider{id.RoleARN, role}, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
	}
	return cfg, nil
}

// provider gives the credentials of a role.
type provider struct {
	role string
	from aws.CredentialsProvider
}

// Retrieve implements aws.CredentialsProvider.
func (p provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := p.from.Retrieve(ctx)
	if err != nil {
		err = &RoleError{p.role, err}
	}
	return found, err
}
