// Package argoapi holds the part of Argo Rollouts' API (argoproj.io/v1alpha1, as
// of 1.8) that this program reads from manifests and clusters, with its defaults.
// Its fields have the names that they have there.
package argoapi
