package kvs

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/aws/smithy-go"

	"github.com/kvsframes/kvsframes/source"
)

// operations are the calls with which a mode reads.
var operations = map[source.Mode][]types.APIName{
	source.ModeLive:    {types.APINameGetMedia},
	source.ModeArchive: {types.APINameListFragments, types.APINameGetMediaForFragmentList},
	source.ModeAuto:    {types.APINameListFragments, types.APINameGetMediaForFragmentList, types.APINameGetMedia},
}

// CheckAccess asks for the data endpoints with which Open would read the stream in cfg, and reads nothing. It requires the permission
// kinesisvideo:GetDataEndpoint.
func CheckAccess(ctx context.Context, cfg Config) error {
	client, id, err := cfg.control(ctx, "ask for stream")
	if err != nil {
		return err
	}
	for _, op := range operations[cfg.withDefaults().Mode] {
		if _, _, err := dataEndpoint(ctx, client, id, op); err != nil {
			return err
		}
	}
	return nil
}

// MissingAction returns the IAM action whose lack explains the error of a call, or "".
func MissingAction(err error) string {
	var api smithy.APIError
	var call *smithy.OperationError
	if !errors.As(err, &api) || !errors.As(err, &call) {
		return ""
	}
	switch api.ErrorCode() {
	case "AccessDeniedException", "NotAuthorizedException":
		return "kinesisvideo:" + call.OperationName
	}
	return ""
}
