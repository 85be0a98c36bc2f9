// Package secret reads single keys of Kubernetes Secrets, and keeps what it has
// read up to date, so that a rotated password is there for the next connection.
//
// Each Secret that is in use is watched by itself, by its name: Headroom needs no
// right to read any other. Its namespace grants it with
//
//	apiVersion: rbac.authorization.k8s.io/v1
//	kind: Role
//	metadata: {name: headroom-orders-db, namespace: platform}
//	rules:
//	- apiGroups: [""]
//	  resources: [secrets]
//	  resourceNames: [orders-db-monitor]
//	  verbs: [get, list, watch]
//
// and a RoleBinding to Headroom's ServiceAccount. An error says which of it is
// missing; nothing of a Secret's content is in any error or log.
package secret
