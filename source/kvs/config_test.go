package kvs

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
)

func TestSettingsThatCannotWorkAreReportedTogether(t *testing.T) {
	good := Config{Stream: "cam"}
	if err := good.Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	arn := "arn:aws:kinesisvideo:eu-central-1:123456789012:stream/cam/1"
	cases := []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"all wrong", func(c *Config) {
			*c = Config{
				EndpointURL: "host:80", Mode: "later", MaxFragmentSize: -1, HeaderTimeout: -1, StallTimeout: -1, Connections: -1, BatchSize: -1,
				MaxInFlight: -1, MaxLag: -1, LagPatience: -1, Fragments: []string{"x"}, Start: source.StartSelector{Type: "HERE"},
			}
		}, []string{
			"stream", "endpoint_url", "max_fragment_size", "header_timeout", "stall_timeout", "connections", "batch_size", "max_lag", "lag_patience", "max_in_flight", "fragments[0]",
			"mode", "start_selector.type",
		}},
		{"ARN", func(c *Config) { c.Stream = arn }, nil},
		{"ARN too long", func(c *Config) { c.Stream = arn + strings.Repeat("1", 1024) }, []string{"stream"}},
		{"name too long", func(c *Config) { c.Stream = strings.Repeat("a", 257) }, []string{"stream"}},
		{"no number", func(c *Config) { c.Start.Type = source.StartFragmentNumber }, []string{"start_selector.after_fragment_number"}},
		{"no time", func(c *Config) { c.Start.Type = source.StartServerTimestamp }, []string{"start_selector.timestamp"}},
		{"an archive from now on", func(c *Config) { c.Mode, c.Start.Type = source.ModeArchive, source.StartNow }, []string{"start_selector.type"}},
		{"no token", func(c *Config) { c.Start.Type = source.StartContinuationToken }, []string{"start_selector.continuation_token"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.edit(&cfg)
			var got []string
			if joined, ok := cfg.Validate().(interface{ Unwrap() []error }); ok {
				for _, err := range joined.Unwrap() {
					var field *setting.Error
					if errors.As(err, &field) {
						got = append(got, field.Path)
					}
				}
			}
			if strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("problems are %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	_, e := emulate(t, kvstest.Options{})
	cases := []struct {
		edit func(*aws.Config, *Config)
		want string
	}{
		{func(a *aws.Config, _ *Config) { a.Region = "" }, "no AWS region"},
		{func(_ *aws.Config, c *Config) { c.Stream = "a/b" }, "stream: must be"},
		{func(a *aws.Config, _ *Config) { a.Credentials = brokenCredentials{} }, "no role to take"},
	}
	for _, c := range cases {
		awsCfg, cfg := awsConfig(), fromEarliest(e.url)
		c.edit(&awsCfg, &cfg)
		if _, err := openSession(t.Context(), awsCfg, cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want one about %q", err, c.want)
		}
	}
}

type brokenCredentials struct{}

func (brokenCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("no role to take")
}

func TestLoadAWSReadsTheChain(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-3")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	for region, want := range map[string]string{"": "eu-west-3", "us-west-2": "us-west-2"} {
		awsCfg, err := LoadAWS(t.Context(), region)
		if err != nil || awsCfg.Region != want {
			t.Fatalf("region is %s, %v, want %s", awsCfg.Region, err, want)
		}
		_, e := emulate(t, kvstest.Options{})
		s, err := openSession(t.Context(), awsCfg, fromEarliest(e.url))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(readAll(t, s)); n != chunkCount {
			t.Errorf("%d fragments", n)
		}
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "many")
	if _, err := LoadAWS(t.Context(), ""); err == nil {
		t.Error("a wrong setting is no error")
	}
}
