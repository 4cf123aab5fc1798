//go:build !linux

package weather

import "errors"

func mount(string, bool) error { return errors.ErrUnsupported }

func unmount(string) error { return errors.ErrUnsupported }
