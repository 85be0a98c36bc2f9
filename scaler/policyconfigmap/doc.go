// Package policyconfigmap is the origin of policies that stand in ConfigMaps: it
// watches those with the label keda-headroom.github.io/policy: "true" in all
// namespaces, package policies judges what is in them.
//
// Each key of data that ends in .yaml, .yml or .json is one input, and everything
// in it belongs to the ConfigMap's namespace. Other keys, and binaryData, are not
// read, so that a README may stand beside a policy; a ConfigMap with the label and
// without any such key is an error of its own. A ConfigMap that loses the label
// is taken back like one that is deleted.
//
// The annotation keda-headroom.github.io/stopped names workloads of the ConfigMap
// that are frozen until it names them no more ([StoppedAnnotation]).
//
// It needs, by a ClusterRole because policies stand in the namespaces of their
// owners: list and watch on configmaps. RBAC can't be narrowed to a label.
package policyconfigmap
