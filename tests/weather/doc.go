// Package weather is a simulation: processes with options out of all there are, on a network, a ZooKeeper, disks and operators that do
// whatever they can. It plays random histories in synctest bubbles, with the real ZooKeeper client and the in-process server, and judges
// every list, status and file by what ZooKeeper has held.
//
//	go test ./tests/weather                                 some hundred fixed seeds, as .ci/run does
//	go test ./tests/weather -run Weather -weather.seed 42   one history, with its log
//	make weather                                            10,000 fresh seeds, and how often each option and fault was there
//
// A seed makes a plan: a list of steps, each with a pause before it. A step names what it acts on by numbers that mean something whatever
// steps are left out. So a history that fails is shortened by leaving steps out while it goes on failing. What the library decides by chance
// (jitter, the order of goroutines) is not part of the seed: a history is played a few times before it counts as one that does not fail.
//
// The files: plan says what may happen, act what that does; process and registrant are who lives in it, way is the network of each, disk the
// disk, record what ZooKeeper has held, and each check is a function of its own in the files that begin with check.
//
// Not in it, because a bubble has no such thing: steps of the wall's clock, notification by inotify (every process polls), a disk that hangs or
// loses what was not synced (package filecache has tests with a file system of its own for these).
package weather
