//go:build linux && cgo

package sandbox

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// TestMain also runs the tests as the first process of a system that has nothing else: build/sandbox-arm64.sh starts a kernel with it.
func TestMain(m *testing.M) {
	if os.Getpid() != 1 {
		os.Exit(m.Run())
	}
	for _, mount := range []struct{ kind, at string }{{"proc", "/proc"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(mount.at, 0o755); err != nil {
			fmt.Println(err)
		}
		if err := syscall.Mount(mount.kind, mount.at, mount.kind, 0, ""); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Printf("sandbox tests end with code %d\n", m.Run())
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}
