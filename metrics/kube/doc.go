// Package kube reads fleets from a Kubernetes cluster.
//
// A [Cluster] lists and watches what KEDA scales and what comes of it, keeps of
// every object only the fields that are used, and makes a source of fleets of
// that ([Cluster.Fleets], a fleet.Source for the pollers). Reading it is a look
// into memory. Some 490 bytes are kept of a pod, by BenchmarkPods.
//
//	cluster, err := kube.New(kube.Options{Config: config, Log: log})
//	…
//	go cluster.Run(ctx)
//	sources := scaler.NewSources(scaler.SourcesOptions{
//		Open:          scaler.Open{Fleets: func() (poll.Source[scaler.Fleets], error) { return cluster.Fleets(references), nil }, …},
//		FleetsChanged: cluster.Changed(),
//	})
//
// references returns a [Reference] for each workload of the policy in force. It is
// called for each reading. Make a source once and give the same to every call of
// Open.Fleets: a Cluster tells the changes of what the last reading looked at.
//
// # What a fleet is made of
//
// Bounds come from the ScaledObject. Replicas, maxSurge and maxUnavailable come
// from its target.
// Tolerance and stabilization come from the HPA as the API server has it, before
// there is one from what KEDA is about to create. Pods belong to a fleet by who
// controls them: a Deployment's ReplicaSets, a StatefulSet, a ScaledJob's Jobs. A
// selector alone makes no pod a worker. Targets of other kinds are read through
// their scale subresource, each at most twice a second; their pods are those that
// they or their ReplicaSets control, and those of their selector whose controller
// is of no kind of Kubernetes' own.
//
// Where nothing of KEDA's scales a workload its target is named directly, and has no
// bounds, or labels select its pods: then each pod of its namespace that has them
// belongs to the fleet, whoever made it, and there are as many replicas as pods that
// neither end nor have ended.
//
// Pods of a Deployment have the revision of their ReplicaSet, those of a
// StatefulSet that of their ControllerRevision.
//
// # What the gate needs
//
// [Cluster.Pod] and [Cluster.Gated] tell what a patch of a pod has to know: version,
// epoch, and where our gate stands among others'. A new leader compares
// [Cluster.ListPods], which a quorum answers, with what the watch has shown
// ([Cluster.Absent]) before it believes a reading. The signal of changes leaves out
// what only gave a pod that isn't gated another version.
//
// # What may be missing
//
// Where a ScaledObject, ScaledJob or target is missing, or may not be read, its
// workload is missing from the reading, which says why. Others are read as ever.
// Where KEDA isn't installed yet that holds for all, and ends within seconds of
// its installation.
//
// A cache doesn't age by itself. So a reading fails as a whole, and the last one
// grows old, where the API server doesn't answer GET /readyz, where a watch is not
// open, and where a list is not complete. After the API server didn't answer all
// connections are closed and every watch is opened anew where it was: none goes on
// that may hang on a half-open connection.
//
// # Permissions
//
// A ClusterRole needs list and watch, in all namespaces, on
//
//	""           pods
//	apps         deployments, statefulsets, replicasets, controllerrevisions
//	batch        jobs
//	autoscaling  horizontalpodautoscalers
//	keda.sh      scaledobjects, scaledjobs
//
// and for targets of other kinds get on their scale subresource, such as
// rollouts/scale of argoproj.io. GET /readyz and discovery are open to everybody
// who is logged in (system:public-info-viewer, system:discovery). What is not
// permitted is said in words, see [Cluster.Refused].
package kube
