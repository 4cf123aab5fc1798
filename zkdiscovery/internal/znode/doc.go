// Package znode says where an rpcx service stands in ZooKeeper: the names and paths that servers and clients have to agree on.
//
// An instance is a child of its service's node, which stands below the base path:
//
//	/<base>/<service>/<network>@<address>
//
// Base and service may have slashes. The address may, too (a unix socket's), which a znode's name may not; see [InstanceName].
//
// Everything here is pure.
package znode
