// pulumi-resource-docker: the Docker provider of Terraform behind Pulumi's bridge, as Pulumi's own plugin is made, for the types
// that this project uses. It has this module's path for a base, for Go lets nobody else import the provider's internal package.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// Set by the linker: the version of the npm package @pulumi/docker, without a leading v.
var version = "0.0.0"

const schema = `{"name":"docker"}`

// resource names a type as @pulumi/docker does.
func resource(module, name string, fields map[string]*tfbridge.SchemaInfo) *tfbridge.ResourceInfo {
	return &tfbridge.ResourceInfo{
		Tok:    tokens.Type("docker:index/" + module + ":" + name),
		Fields: fields,
	}
}

func info() tfbridge.ProviderInfo {
	named := func(name string) *tfbridge.SchemaInfo { return &tfbridge.SchemaInfo{Name: name} }
	of := tfbridge.ProviderInfo{
		P:       shim.NewProvider(provider.New(version)()),
		Name:    "docker",
		Version: version,
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {
				Default: &tfbridge.DefaultInfo{
					EnvVars: []string{"DOCKER_HOST"},
					Value:   "unix:///var/run/docker.sock",
				},
			},
			"registry_auth": named("registryAuth"),
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": resource("container", "Container", map[string]*tfbridge.SchemaInfo{
				"command":           named("command"),
				"networks_advanced": named("networksAdvanced"),
			}),
			// Named by hand: its name says which image it is.
			"docker_image":   resource("remoteImage", "RemoteImage", map[string]*tfbridge.SchemaInfo{"name": named("name")}),
			"docker_network": resource("network", "Network", nil),
			"docker_volume":  resource("volume", "Volume", nil),
		},
	}
	// As the release: a container's name and ports are free only when the old one has gone.
	of.Resources["docker_container"].DeleteBeforeReplace = true
	of.SetAutonaming(255, "-")
	return of
}

func main() {
	tfbridge.Main("docker", version, info(), []byte(schema))
}
