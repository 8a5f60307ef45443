package main

import (
	"context"
	"os"
	"testing"

	"github.com/kvsframes/kvsframes/kvstest"
)

// awsEnvironment gives the process the emulator's credentials.
func awsEnvironment(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
		"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
	} {
		t.Setenv(name, value)
	}
}

// listen has the emulator serve until the test ends.
func listen(t *testing.T, e *kvstest.Server) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	url, wait, err := e.Start(ctx, "")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
	return url
}
