package main

import (
	"os"
	"testing"
)

// ofEmulator are variables with the emulator's credentials, and without a user's own set-up.
var ofEmulator = map[string]string{
	"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
	"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
	"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
}

// awsEnvironment gives the process the emulator's credentials.
func awsEnvironment(t *testing.T) {
	t.Helper()
	for name, value := range ofEmulator {
		t.Setenv(name, value)
	}
}

// asProgramOfEmulator is the environment of a process that is the program and reads from the emulator, for tests that run beside others.
func asProgramOfEmulator() []string {
	all := append(os.Environ(), asProgram+"=1")
	for name, value := range ofEmulator {
		all = append(all, name+"="+value)
	}
	return all
}
