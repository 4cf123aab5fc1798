// Package logs keeps the library from filling the log of a program: what comes and goes for hours, and what hundreds of services meet at once.
//
// # What holds
//
//   - Everything that logs to one handler of the user's shares one limiter, in the whole process.
//   - Lines are the same if message and level are. Of the same lines the first four are told, and the first one of each of four services.
//     The others are withheld. After a minute the newest of them is told with an attribute that says how many they were: withheld=491.
//   - While they go on, such a count follows after 4 and 16 minutes, and then every hour. After ten minutes without such a line the rest is
//     counted, and the next line is news again.
//   - A line that is withheld is passed on at Debug, for a handler that wants Debug. Lines at Debug are not counted.
//   - No code of the user's runs under a lock, and none runs in Logger.With or Logger.WithGroup.
//
// There is no goroutine and no timer: a count is told by the next line of any kind, or by Flush.
//
// # Why not slog-sampling
//
// github.com/samber/slog-sampling v1 counts the same way, by message and level. It tells how many lines it has dropped only with the next line of
// the same message, so the end of an outage would never be told. It keeps a counter for each message for ever or evicts it without a count, has
// no limit for each service, and needs three more modules. What is left to share is one comparison.
package logs

import (
	"log/slog"
	"time"
)

// Limited returns a logger to the handler of l. It shares its limiter with every other logger that Limited has made for the same handler. A
// logger that Limited has made is returned as it is. It may be called at once from anywhere.
func Limited(l *slog.Logger) *slog.Logger {
	user := l.Handler()
	if _, is := user.(*handler); is {
		return l
	}
	e := &end{}
	e.of.Store(limiterOf(user))
	return slog.New(&handler{end: e})
}

// Default returns a logger for a program that has given none: what is at Warn or above goes to slog.Default, looked up at each line. It shares
// the limiter of that handler.
func Default() *slog.Logger { return slog.New(&handler{end: &end{follows: true}}) }

// Flush tells how many lines were withheld, if that is due. A loop that wakes up now and then calls it, so that the end of a row is told also when
// nothing else is logged. l is a logger that Limited or Default has made, or made from one; Flush does nothing with another.
func Flush(l *slog.Logger) {
	if h, is := l.Handler().(*handler); is {
		h.end.limiter().flush(time.Now())
	}
}
