// Package kubernetes holds the manifests of the pages to the API of Kubernetes. It is a module of its own, so that Kubernetes' types stay out of the
// library's go.mod.
package kubernetes
