package bypass

import (
	"fmt"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/policy"
)

// longGrace is for how many seconds a pod that is shed may keep its connections
// before it is worth a note: four times Kubernetes' default.
const longGrace = 120

// evictions looks at what becomes of pods that wait, and of those that are shed.
func (f *finder) evictions() {
	pods := f.pods()
	holder, path, template := pods.holder, pods.path, pods.template
	if template == nil {
		return
	}
	shedding := f.Workload.Shedding.Enabled
	if spec, at := f.job(); spec != nil {
		if d := spec.ActiveDeadlineSeconds; d != nil {
			f.warns(JobDeadline, at+".activeDeadlineSeconds",
				fmt.Sprintf("a Job is given up %d s after it was created, and the time runs while its pod waits at the gate", *d),
				"set activeDeadlineSeconds on the pod (template.spec), where it runs from the pod's start, or leave it out")
		}
		if shedding && !kedaapi.Disposable(spec.PodFailurePolicy) {
			f.warns(JobNotShed, at+".podFailurePolicy",
				"an evicted pod counts as a failure of its Job, so that Headroom sheds none of these pods: what they hold comes back when they end by themselves",
				"add podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}, that rule first, with restartPolicy: Never")
		}
	}
	if grace := template.Spec.TerminationGracePeriodSeconds; shedding && grace != nil && *grace > longGrace {
		f.add(LongGrace, policy.SeverityNote, holder, path+".spec.terminationGracePeriodSeconds",
			fmt.Sprintf("a pod that is shed may keep its connections for %d s more, and nobody else gets them before", *grace),
			"let the worker close its connections on SIGTERM as soon as its message is done, or shorten the time")
	}
}
