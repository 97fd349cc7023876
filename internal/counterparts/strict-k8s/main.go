// Command strict-k8s decodes manifests with the types of the Kubernetes API. It
// rejects unknown fields, duplicate fields and unknown kinds, and prints the kind and
// the name of each object.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "strict-k8s:", err)
		os.Exit(1)
	}
}

// run decodes files, or standard input without any.
func run(files []string, stdin io.Reader, stdout io.Writer) error {
	if len(files) == 0 {
		return decode("standard input", stdin, stdout)
	}
	var errs []error
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		errs = append(errs, decode(name, f, stdout))
		f.Close()
	}
	return errors.Join(errs...)
}

func decode(name string, r io.Reader, stdout io.Writer) error {
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewYAMLReader(bufio.NewReader(r))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if empty(text) {
			continue
		}
		object, kind, err := decoder.Decode(text, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, text)
		}
		fmt.Fprintln(stdout, kind.Kind, nameOf(object))
	}
}

// empty reports whether a document has only comments.
func empty(text []byte) bool {
	var any any
	return yaml.Unmarshal(text, &any) == nil && any == nil
}

func nameOf(object runtime.Object) string {
	m, err := meta.Accessor(object)
	if err != nil {
		return ""
	}
	return m.GetName()
}
