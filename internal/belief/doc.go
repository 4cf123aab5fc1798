// Package belief decides what is believed about one service: which instances are listed and from which source, which are held, which to ask, and
// what the cache file is to hold.
//
// A [Belief] is told what happened and answers questions. It does no I/O, reads no clock and starts no goroutine: time is an argument. One
// goroutine owns it. Package zkdiscovery drives it with ZooKeeper's lists, package filecache with those of any other discovery.
//
// # What happened
//
// [Belief.Listed]: the registry has said a whole list. [Belief.Live], [Belief.Away]: it can be asked, or not. [Belief.Found]: what the file
// has. [Belief.Overridden]: an operator has decided. [Belief.Remember]: what a caller was shown before. [Belief.MayServe]: what is
// known without the registry may serve. [Belief.Probed]: what a probe has found. [Belief.Tick]: time has passed.
//
// # What follows
//
// [Belief.Shown]: the list. [Belief.Asks]: the instances to probe now. [Belief.ToSave]: what the file is to hold. [Belief.Doubts]: the registry
// is to be read again, whole. [Belief.Wake]: when to come back. [Belief.Report]: what a person should know. [Belief.Memory]: what Remember is to
// be given, when this Belief is let go and another is made later.
//
// # What holds
//
// The list:
//   - An operator's override stands above all. Then comes what the registry says. While the registry cannot be asked, a later list of the same
//     history from the file stands above what is known here. Without anything better the file serves, once it may, or
//     what a caller was shown before, if that is later.
//   - The list does not go back in time: after a list from the file, one of the registry's that may be older is passed over, until one follows a
//     sync.
//   - Additions, changes and goodbyes (an instance says state=inactive before it goes) pass at once.
//
// The guard:
//   - A removal passes at once when it is one of few. It is suspected when the active instances become fewer than they were within a window, by
//     more than a share, or when no active one would be left. Then the missing ones are held: they stay in the list, marked, and are probed.
//     Those lost earlier in the window are held with them. A newcomer makes good the oldest loss, so a fleet may be replaced as often as its
//     owner likes. In the window after a reconnect every removal is held. The first list of another history is a mass removal by definition, and
//     so is every list while it is in doubt whether the history is another.
//   - While the registry cannot be asked, no instance leaves and none is asked: it may be this process that is cut off.
//   - What only the file knows is not listed until a probe has succeeded. What a caller was shown before is known. A file that comes after the first
//     list is as good, within the window.
//   - A held instance leaves when it is listed again, when two probes in a row were not answered, or when its hold is over. A hold is not over
//     before the instance was asked twice, or could not be asked for an hour in one piece. One that answers stays as long as it answers.
//   - A probe that could not ask says nothing: no instance leaves for it. Where probes have never reached an instance of the service, their silence
//     says nothing either: the missing ones are held as those without a probe, for a minute by default. Whether a probe reaches one is tried in
//     good times.
//   - An instance that was let go comes back when it is listed again, and not because another process holds it.
//
// The file:
//   - It keeps every instance that is listed, held, or waits for a first answer, and no other.
//   - An era begins only with another lineage, or when a whole pass that followed a sync and read everything is older than what was known. What
//     another process knows of a later list or era is a doubt, which a pass that begins after it settles. While a doubt is open nothing is saved.
//   - A record is later than those before it, by generation or time, unless the clock was set back.
//
// Less formally: only an answer removes an instance, and one's own troubles are no answer.
package belief
