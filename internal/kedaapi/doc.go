// Package kedaapi holds the part of KEDA's API (keda.sh/v1alpha1, as of 2.21)
// that this program reads from manifests and clusters, with KEDA's defaults. Its
// fields have the names that they have there. Importing KEDA's own package would
// bring all of controller-runtime with it.
package kedaapi
