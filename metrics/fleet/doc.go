// Package fleet says which replicas and pods there are.
//
// A [Source] reads the state of all workloads at one instant. The one that
// [Open] returns reads a JSON document from a file or from an HTTP server, for
// demos, tests, and whoever runs Headroom without Kubernetes.
//
// # The document
//
// It holds every workload, by NAMESPACE/NAME:
//
//	{
//	  "fleets": {
//	    "shop/order-workers": {
//	      "specReplicas": 3,
//	      "statusReplicas": 2,
//	      "minReplicas": 0,
//	      "maxReplicas": 100,
//	      "maxSurge": "25%",
//	      "maxUnavailable": "25%",
//	      "ordered": false,
//	      "hpa": {"scaleDownToleranceMilli": 100, "scaleDownStabilization": "5m"},
//	      "jobs": {"strategy": "custom", "running": 3, "pending": 1, "newest": "2026-03-01T12:00:00Z", "deduction": 2, "runningShare": 0.5, "disposable": true},
//	      "pods": [
//	        {
//	          "uid": "0f5a…", "name": "order-workers-6d4cf56db6-x7vkq",
//	          "version": "81417", "epoch": "headroom-0_f3a9", "address": "10.0.3.17",
//	          "createdAt": "2026-03-01T12:00:00Z", "revision": 4, "ordinal": 0,
//	          "started": true, "ready": true, "terminating": false,
//	          "finished": false, "gated": false, "otherGates": false,
//	          "grant": {"platform/orders-db": 5}
//	        }
//	      ]
//	    }
//	  }
//	}
//
// The members mean what the fields of [metrics.Fleet], [metrics.HPA],
// [metrics.Jobs] (of a ScaledJob only) and [metrics.Pod] say. specReplicas and
// statusReplicas of a fleet, and uid, name and createdAt of a pod, are required: a
// count that is missing is not 0. Everything else may be left out for its zero
// value; a version or an epoch that is given is not empty. Numbers are whole and
// not negative. maxSurge and maxUnavailable are counts or percentages. scaleDownStabilization is a
// duration such as "5m", or a number of nanoseconds, as encoding/json writes a
// [metrics.Fleet]. Times are RFC 3339. Pods may come in any order; their uid is
// unique in the document.
//
// Whatever isn't described here is refused: unknown, misspelled and repeated
// members, null, text that isn't UTF-8, a second value after the first, more
// than [MaxBytes]. A document that is refused says so with field, value and rule
// for every mistake, and nothing of it is used.
//
// Who writes the file should write another and rename it, so that no half-written
// document is ever read.
package fleet
