package kvsemu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// apiNames are the names that GetDataEndpoint takes (API Reference, GetDataEndpoint).
var apiNames = []string{
	"PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST",
	"GET_HLS_STREAMING_SESSION_URL", "GET_DASH_STREAMING_SESSION_URL", "GET_CLIP", "GET_IMAGES",
}

// getDataEndpoint answers with this server's own address: as the client wrote it, so
// that it works through whatever led the client here.
func (s *Server) getDataEndpoint(w http.ResponseWriter, r *http.Request, body []byte) error {
	var in struct {
		StreamName, StreamARN *string
		APIName               string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return errSerialization("the request body is not the JSON of GetDataEndpoint")
	}
	if !slices.Contains(apiNames, in.APIName) {
		return errInvalidArgument("APIName must be one of " + strings.Join(apiNames, ", "))
	}
	if _, refusal := s.findStream(in.StreamName, in.StreamARN); refusal != nil {
		return refusal
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	out, err := json.Marshal(struct{ DataEndpoint string }{scheme + "://" + r.Host})
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
