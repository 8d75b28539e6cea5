//go:build !linux

package board

import (
	"errors"
	"os"
)

func newFile() (*os.File, error) { return nil, errors.ErrUnsupported }
