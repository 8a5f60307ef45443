package kvs

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvsframes/kvsframes/source"
)

const (
	// listPage is the number of streams in one page, the maximum of ListStreams (API Reference, ListStreams).
	listPage = 10000
	// maxMatching is the largest number of streams that one pattern may match.
	maxMatching = 100000
)

// ListStreams returns the names of the streams that match the pattern, in the service's order. It requires the
// permission kinesisvideo:ListStreams.
func ListStreams(ctx context.Context, awsCfg aws.Config, endpointURL string, pattern source.Pattern) ([]string, error) {
	client := kinesisvideo.NewFromConfig(awsCfg, controlPlane(endpointURL))
	in := &kinesisvideo.ListStreamsInput{MaxResults: aws.Int32(listPage)}
	if prefix := pattern.Prefix(); prefix != "" {
		in.StreamNameCondition = &types.StreamNameCondition{
			ComparisonOperator: types.ComparisonOperatorBeginsWith,
			ComparisonValue:    aws.String(prefix),
		}
	}
	pages := kinesisvideo.NewListStreamsPaginator(client, in)
	var names []string
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list streams %s: %w", pattern, errors.Join(ctx.Err(), err))
		}
		for _, s := range out.StreamInfoList {
			name := aws.ToString(s.StreamName)
			if plain, ok := source.StreamName(name); ok && plain == name && pattern.Match(name) {
				names = append(names, name)
			}
		}
		if len(names) > maxMatching {
			return nil, fmt.Errorf("list streams %s: more than %d match", pattern, maxMatching)
		}
	}
	return names, nil
}
