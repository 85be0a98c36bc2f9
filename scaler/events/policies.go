package events

import (
	"bytes"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// judged is what was told of an input.
type judged struct {
	state   policies.State
	content []byte
	said    string
}

// Policies tells what became of policies that stand in ConfigMaps. Of what was in
// force before this process began nothing is told but what is wrong.
func (p *Publisher) Policies(r policies.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.documents == nil
	now := map[string]judged{}
	p.described = map[metrics.ID]*corev1.ObjectReference{}
	for _, v := range r.Verdicts {
		if v.UID == "" {
			continue
		}
		about := configMap(v)
		for _, k := range r.Kept {
			if k.Source.Where == v.Source.Where {
				for _, id := range k.Databases {
					p.described[id] = about
				}
			}
		}
		is := judged{v.State, v.Content, say(v)}
		now[v.Source.Where] = is
		before, known := p.documents[v.Source.Where]
		if known && before.state == is.state && before.said == is.said && bytes.Equal(before.content, is.content) {
			continue
		}
		switch v.State {
		case policies.Accepted:
			if !first {
				p.tell(about, corev1.EventTypeNormal, PolicyAccepted, actionJudge, is.said)
			}
		case policies.Rejected:
			p.tell(about, corev1.EventTypeWarning, PolicyRejected, actionJudge, is.said)
		case policies.Conflict:
			p.tell(about, corev1.EventTypeWarning, PolicyConflict, actionJudge, is.said)
		}
	}
	p.documents = now
}

// Remark sends a warning about an object of our own.
func (p *Publisher) Remark(about *corev1.ObjectReference, reason, sentence string) {
	p.tell(about, corev1.EventTypeWarning, reason, actionRead, sentence)
}

func configMap(v policies.Verdict) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "ConfigMap", Namespace: v.Source.Namespace, Name: v.Source.Name, UID: types.UID(v.UID),
	}
}

// say is a verdict in words.
func say(v policies.Verdict) string {
	place := strings.TrimPrefix(v.Source.Where, fmt.Sprintf("ConfigMap %s/%s ", v.Source.Namespace, v.Source.Name))
	text := place + ": in force"
	if v.State != policies.Accepted {
		text = place + ": not in force"
		if v.LastGood {
			text = place + ": not in force, the last good version stays"
		}
	}
	problems := v.Problems
	var said []string
	for _, severity := range []policy.Severity{policy.SeverityError, policy.SeverityWarning} {
		for _, problem := range problems {
			if problem.Severity == severity {
				problem.Where = ""
				said = append(said, problem.String())
			}
		}
	}
	if len(said) > 0 {
		text += "; " + strings.Join(said, "; ")
	}
	return text
}
