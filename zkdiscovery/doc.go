// Package zkdiscovery finds the instances of an rpcx service in ZooKeeper and keeps answering when ZooKeeper does not.
//
// A [Discovery] is rpcx's client.ServiceDiscovery: give it to NewXClient, or a template to NewOneClient, and forget about it. Its [Snapshot]
// says where the list comes from: [Live] over the connection that is up, [Stale] when that is lost, [File] when ZooKeeper could not be asked
// since the start, [Override] when an operator has decided.
//
// # What holds
//
// Lists:
//
//   - L1. A published list never changes. Every caller and every watcher gets a slice of its own; the pairs in it are shared and must not be
//     changed.
//   - L2. A watcher receives the current list at once, then every newer one it has time for, in order; the newest always arrives. A slow or
//     dead watcher delays nobody.
//   - L3. After RemoveWatcher returns nothing is sent on that channel. The library never closes it.
//   - L4. No update is lost, whatever the timing. When ZooKeeper is quiet and reachable, the list equals ZooKeeper.
//   - L5. Changes of metadata arrive like changes of membership.
//   - L6. No partial list is published, and nothing is published when nothing changed. An instance that may not be read is listed with its
//     last known or empty metadata, and reported once.
//   - L7. The list never goes back in time within a lineage, also after a reconnect to a server that lags behind.
//   - L8. SetFilter takes effect before it returns and is inherited by later clones. A filter gets copies, outside the library's locks. A
//     Discovery calls it once at a time. One that panics is reported and counts as "keep".
//   - L9. Whoever has received a list finds Snapshot and GetServices no older. All methods may be called at once from anywhere.
//   - L10. A removal is believed after one list has confirmed it: an instance that is replaced in one transaction is never seen missing.
//
// Outages:
//
//   - O1. Losing the connection publishes nothing and removes nobody; only an answer from ZooKeeper does, or a person's override, or, while the
//     list is not live, a fresher file of the same lineage from a sibling process.
//
//   - O2. New succeeds without ZooKeeper when the file has a list, within the start timeout, and at once when every server refuses. It goes on
//     connecting for ever, and the switch to the live list is seamless.
//
//   - O3. Without ZooKeeper and without a file, New tries for the whole start timeout and fails with ErrNoSnapshot within two more seconds,
//     leaving nothing behind. NewTemplate fails for bad arguments only.
//
//   - O4. A service that nobody has registered yet is no error: the list is empty and fills.
//
//   - O5. Once ZooKeeper and the network are healthy the list is live again within the session timeout plus 5 s, whatever they did, without a
//     restart of the process.
//
//   - O6. During an outage the library is idle but for attempts to connect, spaced by growing, jittered pauses, and logs edges only.
//
//   - O7. A sudden loss of many or all instances is suspected, not obeyed: see [Guard].
//
// The file:
//
//   - F3. Only what came from ZooKeeper is written, unfiltered; never what came from a file or an override. While the guard holds anybody, the
//     file keeps everybody who is listed or held. An instance that was let go is not in it.
//   - F4. Writing is off the delivery path, and its failure changes nothing but a log line, a counter and the Status.
//   - F5. Processes may share a file; its age counts from when ZooKeeper last confirmed the list, not from when it changed.
//
// Life:
//
//   - C1. Close ends everything it started before it returns, may be called twice, and closing a clone never hurts its siblings.
//   - C2. One connection per template, however many services and clients; one outstanding watch per znode, however many watchers.
//   - C3. No method blocks on ZooKeeper for longer than its documented bound; no user code runs under the library's locks.
//   - C4. Whoever made the connection owns it. A clone that nobody uses lets its mirror go after a minute and takes it up again when it is used:
//     see RemoveWatcher.
//
// Less formally: silence is not news, and nothing that you hold ever changes under you.
package zkdiscovery
