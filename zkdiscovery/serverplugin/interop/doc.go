// Package interop has the tests of serverplugin and zkdiscovery beside rpcx-zookeeper, whose servers and clients they must get on with during a
// migration. It is a module of its own, so that rpcx-zookeeper and what that needs stay out of the library's go.mod: make test and make interop
// run them. They look for no leaked goroutines: rpcx-zookeeper leaks some.
package interop
