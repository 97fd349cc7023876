//go:build linux && amd64

package release

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/debuggers"
)

const deploy = top + "/examples/deploy/"

// manifests are those that a user applies, and the objects in each.
var manifests = map[string]struct {
	render []string // arguments of the renderer, nil = a file
	want   string
}{
	"pod.yaml":              {nil, "Pod shop\n"},
	"helm without values":   {[]string{"helm", deploy + "helm"}, ""},
	"helm with the handler": {[]string{"helm", deploy + "helm", "coreHandler.enabled=true", "coreHandler.nodeSelector.role=shop"}, "DaemonSet release-core-handler\n"},
	"helm with a service": {[]string{"helm", deploy + "helm", "service.enabled=true", "service.args={--listen,:8080}", "service.cores.to=s3://cores/shop", "image.digest=sha256:00"},
		"Deployment shop\n"},
	"kustomize": {[]string{"kustomize", deploy + "kustomize/example"}, "Deployment shop\n"},
}

// Every manifest is what the types of the Kubernetes API accept, without a field that
// they do not know. Every container is as the restricted security standard wants it,
// except those of the core handler: "copy" writes to a directory of the node as root, and
// "handler" sets core_pattern.
func TestManifests(t *testing.T) {
	strict, render := debuggers.Need(t, "strict-k8s"), debuggers.Need(t, "render")
	for name, m := range manifests {
		t.Run(name, func(t *testing.T) {
			var text string
			if m.render == nil {
				text = command(t, "cat", deploy+name)
			} else {
				text = command(t, render, m.render...)
			}
			kinds, err := decode(strict, text)
			if err != nil || kinds != m.want {
				t.Fatalf("%q, want %q: %v", kinds, m.want, err)
			}
			pods := podsOf(t, text)
			if (len(pods) == 0) != (text == "") {
				t.Errorf("%d pods in\n%s", len(pods), text)
			}
			for _, p := range pods {
				checkPod(t, p, strings.HasPrefix(kinds, "DaemonSet "))
			}
			if wrong, err := decode(strict, strings.Replace(text, "spec:", "spec:\n  containerz: 1", 1)); text != "" && err == nil {
				t.Errorf("an unknown field is accepted: %s", wrong)
			}
		})
	}
}

// decode returns the kinds and names of the objects in a manifest.
func decode(strict, text string) (string, error) {
	cmd := exec.Command(strict)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = errors.New(stderr.String())
	}
	return string(out), err
}

// A security is the part of a security context that the test reads, of a pod or of a
// container.
type security struct {
	RunAsNonRoot             *bool                  `yaml:"runAsNonRoot"`
	RunAsUser                *int                   `yaml:"runAsUser"`
	SeccompProfile           *struct{ Type string } `yaml:"seccompProfile"`
	Privileged               bool
	AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
	Capabilities             struct{ Add, Drop []string }
}

// A pod is the part of a pod's specification that the test reads.
type pod struct {
	SecurityContext security `yaml:"securityContext"`
	Containers      []podContainer
	InitContainers  []podContainer `yaml:"initContainers"`
	Volumes         []map[string]any
	HostPID         bool `yaml:"hostPID"`
	HostIPC         bool `yaml:"hostIPC"`
	HostNetwork     bool `yaml:"hostNetwork"`
}

type podContainer struct {
	Name, Image     string
	Command         []string
	SecurityContext security `yaml:"securityContext"`
	Resources       struct{ Limits map[string]string }
}

// checkPod checks that a pod is restricted, except what the core handler needs.
func checkPod(t *testing.T, p pod, coreHandler bool) {
	t.Helper()
	if p.HostPID || p.HostIPC || p.HostNetwork {
		t.Errorf("the pod is in namespaces of the node: %+v", p)
	}
	for _, v := range p.Volumes {
		if v["hostPath"] != nil && !coreHandler {
			t.Errorf("a directory of the node: %v", v)
		}
	}
	if len(p.Containers) == 0 {
		t.Error("the pod has no containers")
	}
	if !coreHandler {
		checkRoom(t, p)
	}
	for _, c := range append(p.InitContainers, p.Containers...) {
		s := c.SecurityContext
		// The kubelet takes what a container does not set from its pod.
		if s.RunAsNonRoot == nil {
			s.RunAsNonRoot = p.SecurityContext.RunAsNonRoot
		}
		if s.RunAsUser == nil {
			s.RunAsUser = p.SecurityContext.RunAsUser
		}
		if s.SeccompProfile == nil {
			s.SeccompProfile = p.SecurityContext.SeccompProfile
		}
		if !s.ReadOnlyRootFilesystem {
			t.Errorf("%s can write to its root", c.Name)
		}
		if c.Resources.Limits["memory"] == "" {
			t.Errorf("%s has no limit of memory", c.Name)
		}
		if _, tag, _ := strings.Cut(path.Base(c.Image), ":"); tag == "" || strings.HasSuffix(tag, "latest") {
			t.Errorf("%s: the image %q has neither a version nor a digest", c.Name, c.Image)
		}
		if coreHandler && c.Name == "handler" {
			if !s.Privileged {
				t.Errorf("%s cannot set core_pattern", c.Name)
			}
			continue
		}
		if s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || len(s.Capabilities.Add) > 0 || strings.Join(s.Capabilities.Drop, ",") != "ALL" {
			t.Errorf("%s is not restricted: %+v", c.Name, s)
		}
		if s.SeccompProfile == nil || s.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("%s has no seccomp profile", c.Name)
		}
		if coreHandler && c.Name == "copy" {
			continue
		}
		if s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser != nil && *s.RunAsUser == 0 {
			t.Errorf("%s may run as root", c.Name)
		}
	}
}

// checkRoom checks that the cores of a pod fit into their volume: the kubelet evicts a
// pod above the limit, and a core that is being written needs room too.
func checkRoom(t *testing.T, p pod) {
	t.Helper()
	var limit uint64
	for _, v := range p.Volumes {
		if v["name"] == "cores" {
			limit = size(t, v["emptyDir"].(map[string]any)["sizeLimit"].(string)+"B")
		}
	}
	for _, c := range p.Containers {
		at := slices.Index(c.Command, "--keep-bytes")
		if at < 0 {
			t.Fatalf("%s: no --keep-bytes in %q", c.Name, c.Command)
		}
		if kept := size(t, c.Command[at+1]); kept*2 > limit {
			t.Errorf("%s: cores of %d bytes in a volume of %d", c.Name, kept, limit)
		}
	}
}

func size(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := bytesize.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// podsOf returns those of all objects.
func podsOf(t *testing.T, text string) (all []pod) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object struct {
			Kind string
			Spec yaml.Node
		}
		err := d.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var p pod
		switch object.Kind {
		case "": // a document with comments alone
			continue
		case "Pod":
			err = object.Spec.Decode(&p)
		default:
			var spec struct{ Template struct{ Spec pod } }
			err = object.Spec.Decode(&spec)
			p = spec.Template.Spec
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// The component changes the Deployments that have its label, and no others. It does not
// change their users and rights.
func TestKustomizeLabel(t *testing.T) {
	render := debuggers.Need(t, "render")
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(deploy+"kustomize")); err != nil {
		t.Fatal(err)
	}
	const other = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: other
  namespace: shop
spec:
  selector:
    matchLabels:
      app: other
  template:
    metadata:
      labels:
        app: other
    spec:
      containers:
      - image: example.com/other:1
        name: main
`
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "example", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("other.yaml", other)
	write("own.yaml", strings.NewReplacer("name: other", "name: own\n  labels: {meminspect: run}", "name: main", "name: app\n        securityContext: {runAsUser: 0}").Replace(other))
	const resources = "resources: [shop.yaml"
	text := command(t, "cat", filepath.Join(folder, "example/kustomization.yaml"))
	if !strings.Contains(text, resources) {
		t.Fatalf("the example has no %q:\n%s", resources, text)
	}
	text, _, _ = strings.Cut(text, "images:") // the component's own image has a version
	write("kustomization.yaml", strings.Replace(text, resources, resources+", other.yaml, own.yaml", 1))
	out := command(t, render, "kustomize", filepath.Join(folder, "example"))
	changed := 0
	for object := range strings.SplitSeq(out, "---\n") {
		switch {
		case strings.Contains(object, "name: other\n"):
			if object != other {
				t.Errorf("the component changed a Deployment without its label:\n%s", object)
			}
		case strings.Contains(object, "name: meminspect\n"):
			changed++
			for _, p := range podsOf(t, object) {
				if !strings.Contains(object, "name: own\n") {
					checkPod(t, p, false)
					continue
				}
				user := 0
				if want := (security{RunAsUser: &user}); !reflect.DeepEqual(p.SecurityContext, security{}) || !reflect.DeepEqual(p.Containers[0].SecurityContext, want) {
					t.Errorf("the component changed the rights of a Deployment:\n%s", object)
				}
			}
		}
	}
	if changed != 2 || !strings.Contains(out, "name: other\n") {
		t.Errorf("%d Deployments have the program:\n%s", changed, out)
	}
}
