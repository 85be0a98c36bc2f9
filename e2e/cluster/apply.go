package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// fieldManager owns what tests apply.
const fieldManager = "headroom-e2e"

// followTimeout is how long Apply waits for what follows from a document.
const followTimeout = time.Minute

// Apply applies documents of any kinds, one after the other, server-side and by force.
// An object of a namespaced kind without a namespace goes to "default". After a
// Namespace it waits until pods can be made there, after a CustomResourceDefinition
// until its kind is served.
func (c *Cluster) Apply(ctx context.Context, documents []byte) error {
	objects, err := Decode(documents)
	if err != nil {
		return err
	}
	return c.ApplyObjects(ctx, objects...)
}

// ApplyKustomization applies what `kustomize build` makes of a directory.
func (c *Cluster) ApplyKustomization(ctx context.Context, dir string) error {
	objects, err := Kustomize(dir)
	if err != nil {
		return err
	}
	return c.ApplyObjects(ctx, objects...)
}

// ApplyObjects is Apply for objects.
func (c *Cluster) ApplyObjects(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, object := range objects {
		if err := c.apply(ctx, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func (c *Cluster) apply(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := c.resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return err
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return err
	}
	return c.follow(ctx, object)
}

// Delete deletes the objects of documents, in the background as kubectl does, and
// leaves those that aren't there.
func (c *Cluster) Delete(ctx context.Context, documents []byte) error {
	objects, err := Decode(documents)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	for _, object := range objects {
		resource, err := c.resource(object.GroupVersionKind(), object.GetNamespace())
		if err == nil {
			err = resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// follow waits for what others do about an object before it can be used.
func (c *Cluster) follow(ctx context.Context, object *unstructured.Unstructured) error {
	switch object.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Kind: "Namespace"}:
		return WaitFor(ctx, followTimeout, "the ServiceAccount default", func(ctx context.Context) (bool, error) {
			_, err := c.client.CoreV1().ServiceAccounts(object.GetName()).Get(ctx, "default", metav1.GetOptions{})
			return err == nil, err
		})
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		kind, _, _ := unstructured.NestedString(object.Object, "spec", "names", "kind")
		group, _, _ := unstructured.NestedString(object.Object, "spec", "group")
		return WaitFor(ctx, followTimeout, "kind "+kind+" to be served", func(context.Context) (bool, error) {
			c.mapper.Reset()
			_, err := c.mapper.RESTMapping(schema.GroupKind{Group: group, Kind: kind})
			return err == nil, err
		})
	}
	return nil
}

// resource is the dynamic client of a kind; namespace "" is "default" for kinds that
// are namespaced and ignored for others.
func (c *Cluster) resource(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // it may have come since
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	resource := c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return resource, nil
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return resource.Namespace(namespace), nil
}

func newMapper(client kubernetes.Interface) *restmapper.DeferredDiscoveryRESTMapper {
	return restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
}

// Decode reads documents of YAML or JSON. Empty ones are left out, lists taken apart.
func Decode(documents []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(documents)))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		switch {
		case len(object.Object) == 0:
		case object.IsList():
			list, err := object.ToList()
			if err != nil {
				return nil, fmt.Errorf("document %d: %w", number, err)
			}
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
		case object.GetKind() == "" || object.GetAPIVersion() == "" || object.GetName() == "":
			return nil, fmt.Errorf("document %d: expected apiVersion, kind and metadata.name, found %q, %q and %q",
				number, object.GetAPIVersion(), object.GetKind(), object.GetName())
		default:
			objects = append(objects, object)
		}
	}
}

// Kustomize is what `kustomize build` makes of a directory.
func Kustomize(dir string) ([]*unstructured.Unstructured, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	documents, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	return Decode(documents)
}
