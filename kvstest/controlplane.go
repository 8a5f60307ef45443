package kvstest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The forms and limits of the control plane (API Reference, CreateStream and ListStreams).
const (
	maxStreamResults     = 10_000
	maxStreamTokenLength = 512
	maxMediaType         = 128

	tierHot, tierWarm = "HOT", "WARM"
)

var mediaTypeForm = newForm(maxMediaType, `[\w.+-]+/[\w.+-]+(,[\w.+-]+/[\w.+-]+)*`)

// streamInfo is the description of a stream (API Reference, StreamInfo).
type streamInfo struct {
	StreamName, StreamARN, Status, Version string
	DeviceName, MediaType                  string `json:",omitempty"`
	KmsKeyID                               string `json:"KmsKeyId,omitempty"`
	CreationTime                           any
	DataRetentionInHours                   int
}

func (st *stream) info() streamInfo {
	st.mu.Lock()
	defer st.mu.Unlock()
	info := st.about
	info.DataRetentionInHours = int((st.retention + time.Hour - 1) / time.Hour)
	return info
}

// describeStream answers with the description of a stream.
func (s *Server) describeStream(x *exchange) error {
	return x.answer(struct{ StreamInfo streamInfo }{x.st.info()})
}

// storageConfiguration is how a stream stores its media (API Reference, StreamStorageConfiguration).
type storageConfiguration struct{ DefaultStorageTier string }

// describeStreamStorage answers with the storage tier of a stream.
func (s *Server) describeStreamStorage(x *exchange) error {
	x.st.mu.Lock()
	tier := x.st.tier
	x.st.mu.Unlock()
	return x.answer(struct {
		StreamName, StreamARN      string
		StreamStorageConfiguration storageConfiguration
	}{x.st.name, x.st.arn, storageConfiguration{tier}})
}

// SetStorageTier sets the tier that DescribeStreamStorageConfiguration names for a stream: HOT, as at first, or WARM.
func (s *Server) SetStorageTier(stream, tier string) error {
	st := s.lookup(stream)
	switch {
	case st == nil:
		return fmt.Errorf("set storage tier: there is no stream %s", stream)
	case tier != tierHot && tier != tierWarm:
		return fmt.Errorf("set storage tier of stream %s: %q is neither HOT nor WARM", stream, tier)
	}
	st.change(func() { st.tier = tier })
	return nil
}

// listStreams answers with the streams, by name.
func (s *Server) listStreams(x *exchange) error {
	var in struct {
		MaxResults          int
		NextToken           string
		StreamNameCondition struct {
			ComparisonOperator string
			ComparisonValue    *string
		}
	}
	condition := &in.StreamNameCondition
	in.MaxResults, condition.ComparisonOperator = maxStreamResults, "BEGINS_WITH"
	if refusal := x.decode(&in); refusal != nil {
		return refusal
	}
	var prefix, after string
	if condition.ComparisonValue != nil {
		prefix = *condition.ComparisonValue
	}
	switch limit := in.MaxResults; {
	case limit < 1 || limit > maxStreamResults:
		return errInvalidArgument(fmt.Sprintf("MaxResults (%d) is not between 1 and %d", limit, maxStreamResults))
	case condition.ComparisonOperator != "BEGINS_WITH":
		return errInvalidArgument("ComparisonOperator must be BEGINS_WITH")
	case condition.ComparisonValue != nil && !streamNameForm.valid(prefix):
		return errInvalidArgument("ComparisonValue must be " + streamNameForm.text)
	case in.NextToken != "" && !decodeToken(in.NextToken, maxStreamTokenLength, &after):
		return errInvalidArgument("NextToken is not from ListStreams")
	}
	var out struct {
		StreamInfoList []streamInfo
		NextToken      string `json:",omitempty"`
	}
	out.StreamInfoList = []streamInfo{}
	for _, st := range s.streamsAfter(prefix, after) {
		if n := len(out.StreamInfoList); n == in.MaxResults {
			out.NextToken = encodeToken(out.StreamInfoList[n-1].StreamName)
			break
		}
		out.StreamInfoList = append(out.StreamInfoList, st.info())
	}
	return x.answer(out)
}

// streamsAfter returns the streams whose names begin with prefix and come after a name.
func (s *Server) streamsAfter(prefix, after string) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	streams := slices.SortedFunc(maps.Values(s.streams), func(a, b *stream) int { return strings.Compare(a.name, b.name) })
	return slices.DeleteFunc(streams, func(st *stream) bool { return !strings.HasPrefix(st.name, prefix) || st.name <= after })
}

// serveCreateStream creates a stream for PutMedia.
func (s *Server) serveCreateStream(x *exchange) error {
	var in struct {
		StreamName                      string
		DataRetentionInHours            int
		DeviceName, KmsKeyID, MediaType string // JSON names are matched in any case
		Tags                            map[string]string
		StreamStorageConfiguration      storageConfiguration
	}
	in.StreamStorageConfiguration.DefaultStorageTier = tierHot
	if refusal := x.decode(&in); refusal != nil {
		return refusal
	}
	longest, tier := int(RecordingRetention/time.Hour), in.StreamStorageConfiguration.DefaultStorageTier
	switch hours := in.DataRetentionInHours; {
	case !streamNameForm.valid(in.StreamName):
		return errInvalidArgument("StreamName must be " + streamNameForm.text)
	case hours < 0 || hours > longest:
		return errInvalidArgument(fmt.Sprintf("DataRetentionInHours (%d) is not between 0 and %d", hours, longest))
	case in.MediaType != "" && !mediaTypeForm.valid(in.MediaType):
		return errInvalidArgument("MediaType must be " + mediaTypeForm.text)
	case tier != tierHot && tier != tierWarm:
		return errInvalidArgument("DefaultStorageTier must be HOT or WARM")
	}
	about := streamInfo{MediaType: in.MediaType, DeviceName: in.DeviceName, KmsKeyID: in.KmsKeyID}
	st, err := s.createStream(in.StreamName, time.Duration(in.DataRetentionInHours)*time.Hour, about)
	if errors.Is(err, errTaken) {
		return errInUse("stream " + in.StreamName + " exists already")
	}
	if err != nil {
		return err
	}
	st.change(func() { st.tier = tier })
	return x.answer(struct{ StreamARN string }{st.arn})
}
