package filecache

import "errors"

// What Load, Save and LoadOverride can say, for errors.Is. An absent file is fs.ErrNotExist.
var (
	// ErrCorrupt: every file that is there is damaged (or empty, truncated, over 64 MiB, not a regular file). Each has been set aside
	// under a name with ".corrupt-" in it.
	ErrCorrupt = errors.New("damaged")
	// ErrForeign: the file belongs to another ensemble or service. It was left as it is.
	ErrForeign = errors.New("of another ensemble or service")
	// ErrVersion: the file was written by a later version of this library, in a format that this one does not know. It was left as it is.
	ErrVersion = errors.New("of a later format version")
	// ErrTooOld: the snapshot was confirmed longer ago than WithMaxAge allows, or by a clock that was ahead by more than that.
	ErrTooOld = errors.New("too old")
	// ErrNewer: Save refused, because the snapshot in the file is later than the one to be saved.
	ErrNewer = errors.New("the file is newer")
	// ErrHung: a Keeper's Close has left a disk that does not answer.
	ErrHung = errors.New("the disk does not answer")
	// ErrOverride: an override file is there and was refused; the error names file, line, column and reason.
	ErrOverride = errors.New("override refused")
)

// isVerdict reports whether err is about what a list's file says, so that it will say so at the next look, too.
func isVerdict(err error) bool {
	return errors.Is(err, ErrTooOld) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, ErrForeign)
}
