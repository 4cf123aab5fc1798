// Package mirror knows what ZooKeeper has below one service path, and what must be read to know it. It is pure: it does no I/O, reads no
// clock and starts no goroutine. Its owner tells it what happened, does the jobs that it hands out, one at a time, and takes the [Whole].
//
// # A pass
//
// A list names the instances, reads tell their metadata. A list and the reads that it makes necessary are a pass. What a pass has found is
// shown when all of it is read, and not before. A pass that loses an answer is dropped: a new list begins the next one. What was read
// before the loss stays known, so that only the rest is read again.
//
// # What holds
//
//   - A Whole is never half of a pass. Its Pairs are never changed.
//   - Only an answer decides who is a member: a list, or with a lasting watch the read of a child together with its path. A watch event that says
//     "gone" asks for that answer. An instance that is replaced in one transaction arrives as a deletion first; it is never seen missing.
//   - Whole.Zxid never falls within a lineage, unless the Whole has Proof.
//   - An answer of an earlier session counts for nothing: it has left no watch.
//   - An answer that is older than what was known is not shown before a sync. Over each new connection of a session the newest instance is
//     read again for that: ZooKeeper may have been restored from a backup, and tells nobody what that has undone.
//   - Answers that contradict each other are asked for again after a pause. A list and a read can disagree for long.
//
// The mirror knows nothing of files, eras and holds.
package mirror
