// Package probe asks instances of a service whether they are there.
//
// # What holds
//
//   - All queues of a process share one budget: at most 64 probes run at once, and at most a quarter of the file descriptors that are free, but at
//     least one.
//   - Queues take turns. An instance that was never asked comes before one that was asked already, whichever queue it waits in.
//   - [Queue.Ask] does not block and calls its function exactly once, from another goroutine. It starts no goroutine for an ask that waits.
//   - "Could not ask" is not "nobody answered": [CouldNotAsk] says that this process, its network or its name server failed, and [Silent] that the
//     instance was asked.
//   - The time of a probe begins when the probe begins. The time in the queue does not count.
//   - A probe that panics is Silent. A probe that ignores its context is left behind and takes no turn from others. When the process has left 64 behind,
//     a queue that has left one behind asks nobody until one comes back, and every other queue asks one instance at a time.
//   - What is read from an instance is bounded.
//   - After [Queue.Wait] no goroutine of the queue is left, except for probes that ignore their context.
//
// # Turns
//
// A slot that becomes free is granted to the first queue in the line. Nobody wakes that queue. While it waits for the process it looks by itself,
// after 1 ms, then after twice as long each time, up to 64 ms. There are two reasons. First, nobody tells when a file descriptor becomes free, so it
// would have to look anyway. Second, a goroutine of one queue never touches a channel or a timer of another queue, and never runs another queue's
// probe. Tests in different bubbles of testing/synctest can therefore share the process. A queue that waits for nothing but its own bound does not
// look: when one of its probes ends, the next one begins.
package probe
