//go:build !linux

package checkpoint

// networkFileSystem returns "": the kinds of file systems are known on Linux alone.
func networkFileSystem(string) string { return "" }
