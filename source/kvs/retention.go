package kvs

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
)

// Retention returns how long the stream in cfg keeps its fragments. Without retention it keeps them for some minutes, for GetMedia
// alone. It requires the permission kinesisvideo:DescribeStream.
func Retention(ctx context.Context, cfg Config) (time.Duration, error) {
	const doing = "describe stream"
	cfg, err := cfg.withChain(ctx)
	if err != nil {
		return 0, err
	}
	cfg, id, err := cfg.complete(doing)
	if err != nil {
		return 0, err
	}
	in := &kinesisvideo.DescribeStreamInput{StreamName: id.nameParam(), StreamARN: id.arnParam()}
	out, err := kinesisvideo.NewFromConfig(cfg.AWS, controlPlane(cfg.EndpointURL)).DescribeStream(ctx, in)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", doing, id.name, err)
	}
	if out.StreamInfo == nil {
		return 0, fmt.Errorf("%s %s: the answer describes none", doing, id.name)
	}
	return time.Duration(aws.ToInt32(out.StreamInfo.DataRetentionInHours)) * time.Hour, nil
}
