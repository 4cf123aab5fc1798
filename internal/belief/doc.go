// Package belief decides what is believed about one service: which instances are listed and from which source, who is held, whom to ask, and
// what the cache file is to hold.
//
// A [Belief] is told what happened and answers questions. It does no I/O, reads no clock and starts no goroutine: time is an argument. One
// goroutine owns it. Package zkdiscovery drives it with ZooKeeper's lists, package filecache with those of any other discovery.
//
// # What happened
//
// [Belief.Listed]: the registry has said a whole list. [Belief.Live], [Belief.Away]: it can be asked, or not. [Belief.Found]: what the file
// has. [Belief.Overridden]: an operator has decided. [Belief.Remember]: what a caller was shown before. [Belief.MayServe]: the file may
// serve. [Belief.Probed]: what a probe has found. [Belief.Tick]: time has passed.
//
// # What follows
//
// [Belief.Shown]: the list. [Belief.Asks]: whom to probe now. [Belief.ToSave]: what the file is to hold. [Belief.Doubts]: the registry is to
// be read again, whole. [Belief.Wake]: when to come back. [Belief.Reports]: what a person should know.
//
// # What holds
//
//   - An operator's override stands above all. Then comes what the registry says. While the registry cannot be asked, a later list of the same
//     history from the file stands above what is known here. Without anything better the file serves, once it may.
//   - Additions, changes and goodbyes (an instance says state=inactive before it goes) pass at once.
//   - A removal passes at once when it is one of few. It is suspected when the active instances become fewer than they were within a window, by
//     more than a share, or when no active one would be left. Then the missing ones are held: they stay in the list, marked, and are probed.
//     Those lost earlier in the window are held with them. A newcomer makes good the oldest loss, so a fleet may be replaced as often as its
//     owner likes. In the window after a reconnect every removal is held. The first list of another history is a mass removal by definition.
//   - While the registry cannot be asked nobody leaves and nobody is asked: it may be this process that is cut off.
//   - What only the file knows is not listed until a probe has succeeded.
//   - A held instance leaves when it is listed again; when two probes in a row were not answered; or when its hold is over, and it was asked
//     twice by then, or an hour has passed. One that answers stays as long as it answers.
//   - A probe that could not ask says nothing: nobody leaves for it. Where probes have never reached anybody, their silence says nothing either:
//     the missing ones are held as those without a probe, for a minute by default.
//   - While anybody is held, the file keeps everybody who is listed or held. Who was let go is not in it.
//   - An era begins only with another lineage, or when a whole pass that followed a sync and read everything is older than what was known.
//
// Less formally: only an answer removes anybody, and one's own troubles are no answer.
package belief
