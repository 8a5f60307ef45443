// Package lock locks files, so that two processes do not use them at once.
package lock
