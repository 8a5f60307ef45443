package kvs

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
)

// Description is what KVS tells about a stream.
type Description struct {
	// ARN names the stream, with the time of its creation: a later stream of the same name has another one.
	ARN string
	// Retention is how long it keeps its fragments. Without retention it keeps them for some minutes, for GetMedia alone.
	Retention time.Duration
}

// Describe describes the stream in cfg. It requires the permission kinesisvideo:DescribeStream.
func Describe(ctx context.Context, cfg Config) (Description, error) {
	const doing = "describe stream"
	client, id, err := cfg.control(ctx, doing)
	if err != nil {
		return Description{}, err
	}
	out, err := client.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamName: id.nameParam(), StreamARN: id.arnParam()})
	if err != nil {
		return Description{}, describe("DescribeStream", id, err)
	}
	if out.StreamInfo == nil {
		return Description{}, fmt.Errorf("%s %s: the answer describes none", doing, id.name)
	}
	return Description{
		ARN:       aws.ToString(out.StreamInfo.StreamARN),
		Retention: time.Duration(aws.ToInt32(out.StreamInfo.DataRetentionInHours)) * time.Hour,
	}, nil
}

// StorageTier returns the tier in which the stream in cfg stores its new fragments, as the API names it: HOT or WARM.
// It requires the permission kinesisvideo:DescribeStreamStorageConfiguration.
func StorageTier(ctx context.Context, cfg Config) (string, error) {
	const doing = "ask for storage tier"
	client, id, err := cfg.control(ctx, doing)
	if err != nil {
		return "", err
	}
	in := &kinesisvideo.DescribeStreamStorageConfigurationInput{StreamName: id.nameParam(), StreamARN: id.arnParam()}
	out, err := client.DescribeStreamStorageConfiguration(ctx, in)
	if err != nil {
		return "", describe("DescribeStreamStorageConfiguration", id, err)
	}
	if out.StreamStorageConfiguration == nil {
		return "", fmt.Errorf("%s of stream %s: the answer names none", doing, id.name)
	}
	return string(out.StreamStorageConfiguration.DefaultStorageTier), nil
}
