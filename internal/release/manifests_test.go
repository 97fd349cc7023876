//go:build linux && amd64

package release

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

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
// except that of the core handler, which sets core_pattern.
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
			for _, c := range containers(t, text) {
				s := c.SecurityContext
				if c.Name == "handler" {
					if !s.Privileged || !s.ReadOnlyRootFilesystem {
						t.Errorf("%+v", c)
					}
					continue
				}
				if s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || strings.Join(s.Capabilities.Drop, ",") != "ALL" {
					t.Errorf("%+v is not restricted", c)
				}
				if c.Resources.Limits["memory"] == "" {
					t.Errorf("%s has no limit of memory", c.Name)
				}
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

// A podContainer is the part of a container that the test reads.
type podContainer struct {
	Name            string
	SecurityContext struct {
		Privileged               bool
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	Resources struct{ Limits map[string]string }
}

// containers returns those of all objects.
func containers(t *testing.T, text string) (all []podContainer) {
	t.Helper()
	type pod struct {
		Containers     []podContainer
		InitContainers []podContainer `yaml:"initContainers"`
	}
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object struct {
			Spec struct {
				pod      `yaml:",inline"`
				Template struct{ Spec pod }
			}
		}
		err := d.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []pod{object.Spec.pod, object.Spec.Template.Spec} {
			all = append(append(all, p.Containers...), p.InitContainers...)
		}
	}
}
