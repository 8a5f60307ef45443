package kvstest

import (
	"slices"
	"strings"
)

// apiNames are the accepted names of operations (API Reference, GetDataEndpoint).
var apiNames = []string{
	"PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST",
	"GET_HLS_STREAMING_SESSION_URL", "GET_DASH_STREAMING_SESSION_URL", "GET_CLIP", "GET_IMAGES",
}

// getDataEndpoint answers with this server's address as the client wrote it, so that it works through proxies
// and tunnels.
func (s *Server) getDataEndpoint(x *exchange) error {
	var in struct{ APIName string }
	if refusal := x.decode(&in); refusal != nil {
		return refusal
	}
	if !slices.Contains(apiNames, in.APIName) {
		return errInvalidArgument("APIName must be one of " + strings.Join(apiNames, ", "))
	}
	scheme := "http"
	if x.r.TLS != nil {
		scheme = "https"
	}
	return x.answer(struct{ DataEndpoint string }{scheme + "://" + x.r.Host + x.st.grantEndpoint()})
}

// movedPrefix begins the path of a moved data endpoint.
const movedPrefix = "/endpoint-"

// grantEndpoint returns the path of the stream's data endpoint, and makes the endpoint serve.
func (st *stream) grantEndpoint() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.refused = false
	return st.base
}

// checkEndpoint refuses a request to the wrong data endpoint.
func (st *stream) checkEndpoint(x *exchange, base string) *apiError {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !x.op.data || base == st.base && !st.refused {
		return nil
	}
	return errInvalidEndpoint("this is no longer the data endpoint of stream " + st.name + ": call GetDataEndpoint again")
}
