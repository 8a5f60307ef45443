//go:build !unix || solaris || aix

package disk

import (
	"errors"
	"os"
)

// tryLock does nothing: there are no locks that belong to an opening of a file.
func tryLock(*os.File) (taken bool, err error) { return false, errors.ErrUnsupported }
