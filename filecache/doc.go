// Package filecache keeps the last good list of a service's servers in a file, so that a client can start and go on without its registry.
// It knows nothing of any registry: package zkdiscovery uses it for ZooKeeper, and Wrap puts it behind any other discovery of rpcx.
//
// # What holds
//
//   - F1. At every instant, also of a crash or a power cut at any point of a write, the file holds the whole old snapshot or the whole new one.
//     What a file system refuses to do (set a mode, link, lock, sync) costs what that protects and no more, and is reported once.
//   - F2. A damaged file is never used and never fatal: it is set aside under a name with ".corrupt-" in it (the newest three are kept),
//     reported, and the generation before it is used. A file that cannot be read is reported and left where it is, since nothing proves it
//     bad. Each ensemble has a directory of its own, and each service one in it; which is ours is decided by Open. What is another's, or of a
//     later version of this library, is left alone.
//   - F3. What an operator has written by hand is never saved, nor what was only read from the file. With Wrap nothing is saved before the discovery
//     has listed something. A server that the discovery no longer lists stays in the file, marked, while Wrap's guard holds it.
//   - F4. A file that cannot be written (read-only, full, no permission) changes nothing but an error and a log line. A Keeper writes a file again
//     that somebody has removed.
//   - F5. Several processes may share a file. Readers always see a whole one, also between the generations. Writers take an advisory lock for
//     the moment of writing and wait a second for it at most; Load never waits. A snapshot is replaced only by a later one, and its age
//     counts from when its source last confirmed it.
//
// In one sentence: whatever happens to the process, the machine or the disk, the next start finds a list that once was true, the latest there is,
// or is told that there is none.
//
// # The later one
//
// A snapshot is later than another if its Era is greater; in the same Era and Lineage if its Zxid is greater, or equal and its AsOf later; in the
// same Era and different Lineages, whose zxids have nothing to do with each other, if its AsOf is later.
//
// # Places
//
// Below the directory that Open is given, each ensemble has a directory, and each service has one in that:
//
//	zk1_2181,zk2_2181/ensemble.json                            whose the directory is
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/list.json             the snapshot of /prod/rpcx/Arith: JSON, a server on each line
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/prev.json             the list before it
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/override.json         what an operator wants instead, written by hand; see Cache.LoadOverride
//	zk1_2181,zk2_2181/prod/rpcx/Arith~c1/list.lock             the writers' lock; empty, never removed
//
// The ensemble's directory is called by the ensemble's name, or after its hosts. Open decides which one is ours, once:
//
//   - the one that says it has our name, or exactly our hosts and root;
//   - else, for hosts, the one with our root and at least one host of ours; of several, the one whose list is newest;
//   - else a new one.
//
// For example, a client that knows zk1 and zk2 has made the directory. A client of zk2 and zk3 uses it, too, since zk2 is in both. A client of zk3 alone
// does not: the directory goes on saying zk1 and zk2, because zk3 may belong to another ensemble by now.
//
// The directory of a service is its path. A name is escaped only where a file system needs it, in the same way everywhere. "~c1" behind a name with capital
// letters keeps Arith apart from arith where a file system ignores case; the digits say which letters are capitals. What Windows forbids in names, a
// dot at the beginning, and a name that one of our files has are escaped as in a URL. Open makes the directories, so that an operator finds them, and
// Path and OverridePath name the files.
//
// All files are mode 0600 in directories of mode 0700: whoever writes them decides which servers are called. For the same reason processes of
// different users cannot share them. The list is not meant to be edited, which breaks its checksum; the override is, and a copy of the list is a valid
// one. WithOverrideDir adds a second place for overrides, such as a mounted ConfigMap.
//
// Give Open a directory, not a file: a single file mounted into a container cannot be replaced, and Save says so. The list itself may not be a
// symbolic link, which a replacement would destroy; its directory may be one, and the override too.
//
// # Goroutines
//
// Open, Load and Save start none. Each Watch has one, which ends with its context or the Cache and then closes the channel; each Keeper has one, which
// ends with Close. All of them share one more, with one fsnotify watcher for the process, which ends with the last of them; with WithPollingOnly there
// is none. What Wrap starts, Close ends, but for a call of the registry's that does not return.
//
// # Where it is less
//
// On Windows the file is replaced by MoveFileEx, which Microsoft does not document as atomic although it is on NTFS, and directories cannot be
// synced, so the last save may be lost in a power cut; a replacement waits up to a second for readers that are in its way. Where there are no
// hard links the predecessor is a copy. Where there are no locks (some network file systems) two processes that write in the same instant may
// leave the earlier snapshot; it is whole nevertheless. There, and wherever notification does not work, changes are noticed by a look every 5 s.
package filecache
