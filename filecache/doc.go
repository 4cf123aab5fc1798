// Package filecache keeps the last good list of a service's servers in a file, so that a client can start and go on without its registry.
//
//	d, err := filecache.Wrap(etcd, "/var/lib/myapp/holdfast", filecache.WithService("Arith")) // any discovery of rpcx's
//	xclient := client.NewXClient("Arith", client.Failover, client.RandomSelect, d, client.DefaultOption)
//
// [Wrap] is for etcd, consul, nacos and every other discovery of rpcx's; [Connect] is Wrap for a registry that may be away at the start. For ZooKeeper
// there is package zkdiscovery, which uses this one. [Open] is for programs with a registry of their own. It says where the files are; an operator's
// override is one of them ([Cache.LoadOverride]). [Snapshot] says which of two lists is the later one, in which era and lineage.
//
// # What holds
//
//   - F1. At every instant, also of a crash or a power cut, the file holds the whole old list or the whole new one.
//   - F2. A damaged file is set aside and reported, and the generation before it is used. A file of another ensemble is left alone.
//   - F3. Only lists from the registry are saved. A held instance is saved, too.
//   - F4. A file that cannot be written changes no list.
//   - F5. Processes may share a file. A list is replaced by a later one only.
//
// An instance is held when the registry no longer lists it and a [Guard] keeps it. In one sentence: whatever happens to the process, the machine or the
// disk, the next start finds the latest list that was true, or is told that there is none.
//
// # Where it is less
//
// Windows replaces the file by MoveFileEx, which Microsoft does not call atomic although it is on NTFS. It cannot sync directories, so a power cut may
// lose the last save. A replacement there waits up to a second for readers. Without hard links the predecessor is a copy. Without locks, as on some
// network file systems, two processes that write in the same instant may leave the earlier list, whole. Where notification does not work, changes are
// noticed by a look every 5 s.
package filecache
