package kvstest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
)

func TestAServerOfATestServesUntilTheTestEnds(t *testing.T) {
	var s *Server
	t.Run("a test", func(t *testing.T) {
		s = New(t, Options{AccessKey: "who", SecretKey: "what", SessionToken: "token", Region: "eu-west-1"})
		if err := s.CreateStream("cam", 0); err != nil {
			t.Fatal(err)
		}
		out, err := kinesisvideo.NewFromConfig(s.Config()).ListStreams(t.Context(), &kinesisvideo.ListStreamsInput{})
		if err != nil || len(out.StreamInfoList) != 1 {
			t.Errorf("ListStreams gives %+v, %v", out, err)
		}
	})
	if resp, err := http.Get(s.URL()); err == nil {
		resp.Body.Close()
		t.Error("the server answers after the test")
	}
}
