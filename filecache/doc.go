// Package filecache keeps the last good list of a service's servers in a file, so that a client can start and go on without its registry.
package filecache
