module krustlet-stack/airgap/pulumi-resource-command

go 1.26.0
