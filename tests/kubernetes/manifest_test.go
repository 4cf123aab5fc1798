package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// workload is what the kinds that the pages show have in common.
type workload struct {
	kind, name string
	selector   *meta.LabelSelector
	pod        core.PodTemplateSpec
	claims     []core.PersistentVolumeClaim
}

// read reads a manifest. A field that Kubernetes does not know, one that is there twice, and one of another type are errors.
func read(text string) (w workload, err error) {
	var kind meta.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
		return w, err
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 Deployment":
		var d apps.Deployment
		err = yaml.UnmarshalStrict([]byte(text), &d)
		w = workload{kind.Kind, d.Name, d.Spec.Selector, d.Spec.Template, nil}
	case "apps/v1 StatefulSet":
		var s apps.StatefulSet
		err = yaml.UnmarshalStrict([]byte(text), &s)
		w = workload{kind.Kind, s.Name, s.Spec.Selector, s.Spec.Template, s.Spec.VolumeClaimTemplates}
		if s.Spec.ServiceName == "" {
			err = errors.Join(err, errors.New("a StatefulSet needs a serviceName"))
		}
	default:
		err = fmt.Errorf("%s %s is not known here", kind.APIVersion, kind.Kind)
	}
	return w, err
}

// mistakes are what the types do not say, and what Kubernetes refuses or what never becomes ready.
func (w workload) mistakes() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if w.name == "" {
		wrong("it has no name")
	}
	chosen, err := meta.LabelSelectorAsSelector(w.selector)
	if err != nil {
		wrong("selector: %w", err)
	} else if chosen.Empty() || !chosen.Matches(labels.Set(w.pod.Labels)) {
		wrong("the selector %s does not match the pods' labels %v", chosen, w.pod.Labels)
	}
	volumes := make(map[string]bool)
	for _, v := range w.pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range w.claims {
		volumes[c.Name] = true
		if len(c.Spec.AccessModes) == 0 || c.Spec.Resources.Requests.Storage().IsZero() {
			wrong("claim %s says no access mode or no size", c.Name)
		}
	}
	if len(w.pod.Spec.Containers) == 0 {
		wrong("there is no container")
	}
	for _, c := range w.pod.Spec.Containers {
		if c.Name == "" || c.Image == "" {
			wrong("a container has no name or no image")
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				wrong("%s mounts %s, which is no volume", c.Name, m.Name)
			}
			if m.SubPath != "" {
				wrong("%s mounts %s by a subPath, where no change arrives", c.Name, m.Name)
			}
		}
		for what, probe := range map[string]*core.Probe{"readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
			if probe == nil {
				continue
			}
			if probe.HTTPGet == nil {
				wrong("%s: the %s probe asks nothing", c.Name, what)
			} else if port := probe.HTTPGet.Port.String(); !slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == port || fmt.Sprint(p.ContainerPort) == port }) {
				wrong("%s: the %s probe asks at port %s, which is none of the container's", c.Name, what, port)
			}
		}
	}
	return errors.Join(errs...)
}

var fence = regexp.MustCompile("(?s)\n```(yaml|go)\n(.*?)\n```\n")

// pair is a manifest with the Go code that stands before it in the page.
type pair struct{ page, code, manifest string }

func pairs(t *testing.T) (all []pair) {
	t.Helper()
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/zh/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
				if m[1] == "go" {
					code = m[2]
				} else {
					all = append(all, pair{file, code, m[2]})
				}
			}
		}
	}
	return all
}

// A reader applies what the page shows, beside the program that the page shows.
func TestEveryManifestIsOneThatKubernetesTakes(t *testing.T) {
	kinds := make(map[string]int)
	for _, p := range pairs(t) {
		w, err := read(p.manifest)
		if err = errors.Join(err, w.mistakes()); err != nil {
			t.Errorf("%s: %s %s: %v", p.page, w.kind, w.name, err)
			continue
		}
		kinds[w.kind]++
		c := w.pod.Spec.Containers[0]
		for _, m := range regexp.MustCompile(`os\.Getenv\("(\w+)"\)`).FindAllStringSubmatch(p.code, -1) {
			if !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.Name == m[1] && (e.Value != "" || e.ValueFrom != nil) }) {
				t.Errorf("%s: %s does not set %s, which the program reads", p.page, w.name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`With(?:Cache|Override)Dir\("([^"]+)"\)`).FindAllStringSubmatch(p.code, -1) {
			if !slices.ContainsFunc(c.VolumeMounts, func(v core.VolumeMount) bool { return v.MountPath == m[1] }) {
				t.Errorf("%s: %s mounts nothing at %s, which the program uses", p.page, w.name, m[1])
			}
		}
		for _, probe := range []*core.Probe{c.ReadinessProbe, c.LivenessProbe} {
			if probe != nil && !strings.Contains(p.code, fmt.Sprintf("http.HandleFunc(%q,", probe.HTTPGet.Path)) {
				t.Errorf("%s: %s is asked for %s, which the program does not have", p.page, w.name, probe.HTTPGet.Path)
			}
		}
		if grace := w.pod.Spec.TerminationGracePeriodSeconds; strings.Contains(p.code, "NewZooKeeperRegisterPlugin") && (grace == nil || time.Duration(*grace)*time.Second < 10*time.Second) {
			t.Errorf("%s: %s has no time to leave", p.page, w.name)
		}
	}
	if kinds["Deployment"] == 0 || kinds["StatefulSet"] == 0 {
		t.Errorf("only %v: have the pages another form now?", kinds)
	}
}

func TestABrokenManifestIsFound(t *testing.T) {
	all := pairs(t)
	if len(all) < 2 {
		t.Fatalf("%d manifests", len(all))
	}
	deployment, set := all[0].manifest, all[1].manifest
	for _, c := range []struct{ manifest, from, to, want string }{
		{deployment, "replicas: 3", "replica: 3", `unknown field "replica"`},
		{deployment, "replicas: 3", "replicas: three", "cannot unmarshal string"},
		{deployment, "readinessProbe:", "readynessProbe:", "readynessProbe"},
		{deployment, "  replicas: 3", "  replicas: 3\n  replicas: 3", "already set"},
		{deployment, "labels: {app: arith}", "labels: {app: other}", "does not match the pods' labels"},
		{deployment, "path: /ready, port: http", "path: /ready, port: htp", "none of the container's"},
		{deployment, "kind: Deployment", "kind: Deploymnt", "is not known here"},
		{set, "serviceName: shop", "", "needs a serviceName"},
		{set, "name: overrides, mountPath", "name: overrids, mountPath", "which is no volume"},
		{set, "mountPath: /etc/holdfast", "mountPath: /etc/holdfast, subPath: x", "where no change arrives"},
		{set, "requests: {storage: 16Mi}", "requests: {}", "no size"},
		{set, "storage: 16Mi", "storage: much", "quantities must match"},
	} {
		if !strings.Contains(c.manifest, c.from) {
			t.Errorf("the page has no %q", c.from)
			continue
		}
		w, err := read(strings.Replace(c.manifest, c.from, c.to, 1))
		if err = errors.Join(err, w.mistakes()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v, want %s", c.from, c.to, err, c.want)
		}
	}
}
