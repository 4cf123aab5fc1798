// Package selector chooses servers for rpcx's XClient. It keeps away from those that fail.
package selector
