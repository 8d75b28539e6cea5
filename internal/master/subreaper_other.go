//go:build !linux

package master

import "errors"

func becomeSubreaper() error { return errors.New("only Linux can do that") }
