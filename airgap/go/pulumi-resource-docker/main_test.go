package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
)

var member = regexp.MustCompile(`(?m)^    (?:readonly )?(\w+)\??: `)

// declared gives the properties of an interface of the npm package @pulumi/docker.
func declared(t *testing.T, file, name string) []string {
	text, err := os.ReadFile(filepath.Join("../../../node_modules/@pulumi/docker", file))
	if err != nil {
		t.Fatal(err)
	}
	body := regexp.MustCompile(`(?s)export interface ` + name + ` \{(.*?)\n\}`).FindSubmatch(text)
	if body == nil {
		t.Fatalf("%s has no interface %s", file, name)
	}
	var names []string
	for _, found := range member.FindAllSubmatch(body[1], -1) {
		names = append(names, string(found[1]))
	}
	return names
}

func TestEachPropertyOfTheSDKIsServed(t *testing.T) {
	of := info()
	expect := func(file, name string, schema shim.SchemaMap, fields map[string]*tfbridge.SchemaInfo) {
		served := map[string]bool{}
		schema.Range(func(key string, _ shim.Schema) bool {
			served[tfbridge.TerraformToPulumiNameV2(key, schema, fields)] = true
			return true
		})
		names := declared(t, file, name)
		if len(names) < 5 {
			t.Errorf("%s: only %v were read", name, names)
		}
		for _, property := range names {
			if !served[property] {
				t.Errorf("%s.%s is not served", name, property)
			}
		}
	}
	expect("provider.d.ts", "ProviderArgs", of.P.Schema(), of.Config)
	for resource, sdk := range map[string][2]string{
		"docker_container": {"container.d.ts", "ContainerState"},
		"docker_image":     {"remoteImage.d.ts", "RemoteImageState"},
		"docker_network":   {"network.d.ts", "NetworkState"},
		"docker_volume":    {"volume.d.ts", "VolumeState"},
	} {
		expect(sdk[0], sdk[1], of.P.ResourcesMap().Get(resource).Schema(), of.Resources[resource].Fields)
	}
}
