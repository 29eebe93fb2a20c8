// Changes two children by Pulumi's transforms: a label of the registry's container, an annotation of the pod.
"use strict";
const kubernetes = require("@pulumi/kubernetes");
const { LocalRegistry, WasmPod } = require("krustlet-stack");

/** Changes the child of that type and name. */
const child = (wanted, change) => ({
    transforms: [
        ({ type, name, props, opts }) =>
            `${type} ${name}` === wanted ? { props: { ...props, ...change(props) }, opts } : undefined,
    ],
});

const registry = new LocalRegistry(
    "registry",
    { port: 5105, containerName: "krustlet-transforms" },
    child("docker:index/container:Container registry-container", ({ labels }) => ({
        labels: [...labels, { label: "example.com/team", value: "a" }],
    })),
);
const provider = new kubernetes.Provider("cluster", { kubeconfig: process.env.TRANSFORMS_KUBECONFIG });
const pod = new WasmPod(
    "transformed",
    { image: process.env.TRANSFORMS_IMAGE, wait: false },
    {
        provider,
        ...child("kubernetes:core/v1:Pod transformed-pod", ({ metadata }) => ({
            metadata: { ...metadata, annotations: { ...metadata.annotations, "example.com/team": "a" } },
        })),
    },
);

// The children themselves, by their properties.
exports.container = registry.container.name;
exports.pod = pod.pod.metadata.name;
