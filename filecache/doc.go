// Package filecache keeps the last good list of a service's servers in a file, so that a client can start and go on without its registry.
// It knows nothing of any registry: package zkdiscovery uses it for ZooKeeper, and Wrap puts it behind any other discovery of rpcx.
//
// # What holds
//
//   - F1. At every instant, also of a crash or a power cut at any point of a write, the file holds the whole old snapshot or the whole new one.
//   - F2. A damaged file is never used and never fatal: it is set aside under a name with ".corrupt-" in it (the newest three are kept),
//     reported, and the generation before it is used. A file that cannot be read is reported and left where it is, since nothing proves it
//     bad. A file of another ensemble, or of a later version of this library, is left alone, and ours has another name.
//   - F3. What an operator has written by hand is never saved, and with Wrap nothing before the discovery has listed something. Whom it lists no
//     longer stays in the file, marked, while Wrap's guard holds it, and no save shrinks the file meanwhile; so an empty list replaces a good one
//     only when it has been believed.
//   - F4. A file that cannot be written (read-only, full, no permission) changes nothing but an error and a log line.
//   - F5. Several processes may share a file. Readers always see a whole one, also between the generations. Writers take an advisory lock for
//     the moment of writing and wait a second for it at most; Open and Load never wait. A snapshot is replaced only by a later one, and its age
//     counts from when its source last confirmed it.
//
// Less formally: whatever happens to the process, the machine or the disk, the next start finds a list that once was true, the latest there is,
// or is told that there is none.
//
// # The later one
//
// A snapshot is later than another if its Era is greater; in the same Era and Lineage if its Zxid is greater, or equal and its AsOf later; in the
// same Era and different Lineages, whose zxids have nothing to do with each other, if its AsOf is later.
//
// # The files
//
//	prod,rpcx,_Arith.json            the snapshot: one JSON document, a server on each line, a head with version, CRC-32C, ensemble, service
//	prod,rpcx,_Arith.prev.json       the list before it
//	prod,rpcx,_Arith.override.json   what an operator wants instead, written by hand; see Cache.LoadOverride
//	prod,rpcx,_Arith.lock            the writers' lock; empty, never removed
//
// The names are the service's, /prod/rpcx/Arith here, escaped so that no two meet and none leaves the directory: slashes become commas, an
// upper-case letter has a "_" before it (for file systems that ignore case), most else is escaped as in a URL. While a file of another ensemble
// has the plain name, ours is prod,rpcx,_Arith~0123abcd.json, with a hash of our ensemble when it was first written, and so are the others.
// All are mode 0600 in a directory of mode 0700: whoever writes them decides which servers are called. For the same reason processes of
// different users cannot share them. The snapshot is not meant to be edited, which breaks its checksum; the override is.
//
// Give it a directory, not a file: a single file mounted into a container cannot be replaced, and Save says so. The file itself may not be a
// symbolic link, which a replacement would destroy; its directory may be one, and the override too, so that it can come from a Kubernetes
// volume.
//
// # Goroutines
//
// Open, Load and Save start none. Each Watch has one, which ends with its context or the Cache and then closes the channel. All Watches of one
// directory share one more, with one fsnotify watcher, which ends with the last of them; with WithPollingOnly there is none. What Wrap starts,
// Close ends.
//
// # Where it is less
//
// On Windows the file is replaced by MoveFileEx, which Microsoft does not document as atomic although it is on NTFS, and directories cannot be
// synced, so the last save may be lost in a power cut; a replacement waits up to a second for readers that are in its way. Where there are no
// hard links the predecessor is a copy. Where there are no locks (some network file systems) two processes that write in the same instant may
// leave the earlier snapshot; it is whole nevertheless. There, and wherever notification does not work, changes are noticed by a look every 5 s.
package filecache
