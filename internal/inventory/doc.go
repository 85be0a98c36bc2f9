// Package inventory collects what scales and runs pods, from manifests or from a
// cluster, and joins it into fleets. From a cluster it only lists, in pages, and
// changes nothing.
package inventory
