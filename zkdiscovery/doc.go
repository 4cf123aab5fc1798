// Package zkdiscovery finds the instances of an rpcx service in ZooKeeper. When ZooKeeper is away it keeps the last list.
//
//	d, err := zkdiscovery.New("/rpcx", "Arith", []string{"zk1:2181", "zk2:2181"})
//	if err != nil { … } // neither ZooKeeper nor the cache file has a list
//	defer d.Close()
//	xclient := client.NewXClient("Arith", client.Failover, client.RandomSelect, d, client.DefaultOption)
//
// [NewTemplate] gives several services one connection, and is what OneClient needs. [Discovery.Snapshot] says where a list comes from, [Discovery.Status]
// how ZooKeeper and the file are. An instance is held when ZooKeeper no longer lists it and [Guard] keeps it. [Snapshot] explains a list's lineage.
//
// # What holds
//
//   - L1. A published list never changes.
//   - L2. A watcher gets the current list, then newer ones, the newest always.
//   - L3. After RemoveWatcher returns, nothing is sent on that channel.
//   - L4. No update is lost: when ZooKeeper is quiet, the list equals it.
//   - L5. Changes of metadata arrive like changes of membership.
//   - L6. No partial list is published, and none in which nothing has changed.
//   - L7. A list never goes back in time within one lineage.
//   - L8. SetFilter has taken effect when it returns. Later clones inherit it.
//   - L9. When a watcher has received a list, Snapshot has it, or a newer one.
//   - L10. A removal is believed after one more answer has confirmed it.
//   - O1. A lost connection removes nobody. Only an answer from ZooKeeper does.
//   - O2. New succeeds without ZooKeeper if the file has a list.
//   - O3. Without both, New fails with ErrNoSnapshot and leaves nothing behind.
//   - O4. A service that is not registered yet is an empty list, which fills.
//   - O5. Once all is healthy, lists are live in a session timeout and 5 s.
//   - O6. An outage costs no CPU and a handful of log lines.
//   - O7. A sudden loss of many instances is suspected, not obeyed: see [Guard].
//   - F3. Only lists from the registry are saved. A held instance is saved, too.
//   - F4. A file that cannot be written changes no list.
//   - F5. Processes may share a file. A list is replaced by a later one only.
//   - C1. Close ends all that it started before it returns. Siblings stay.
//   - C2. A template has one connection, and one watch per znode.
//   - C3. Nothing blocks on ZooKeeper for longer than its doc says.
//   - C4. Closing what owns the connection ends its clones.
package zkdiscovery
