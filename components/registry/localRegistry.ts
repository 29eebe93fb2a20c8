import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { REGISTRY_ENVIRONMENT, REGISTRY_IMAGE, REGISTRY_PORT } from "../defaults";
import { owner, ownName } from "../names";
import * as rules from "../rules";
import { stepResource } from "../step";
import { checkArgs } from "../validation";

export interface LocalRegistryArgs {
    /** Port on this host's loopback address. Default: 5001. */
    port?: pulumi.Input<number>;
    /** Image of the registry (CNCF Distribution 3). Default: `registry:3.1.1`. */
    image?: pulumi.Input<string>;
    /** Name of its container. Default: `<project>-<stack>-registry`. */
    containerName?: pulumi.Input<string>;
    /** How long it may take to answer, in seconds. Default: 60. */
    readyTimeoutSeconds?: pulumi.Input<number>;
}

/** Address of a local registry on `port`, as image references begin. */
export function localRegistryAddress(port: number): string {
    return `localhost:${port}`;
}

/** Name of a local registry's container unless it is told another one. */
export function defaultContainerName(): string {
    return ownName("registry");
}

/**
 * An OCI registry in a Docker container, for this host alone: plain HTTP on the loopback address. Its data goes when it
 * goes.
 */
export class LocalRegistry extends pulumi.ComponentResource {
    /** `localhost:<port>`, known as soon as the registry answers. Plain HTTP: a client must be told so. */
    readonly address: pulumi.Output<string>;
    /** Id of the container. Another one has no data: what was pushed must be pushed again. */
    readonly instance: pulumi.Output<string>;

    constructor(name: string, args: LocalRegistryArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:LocalRegistry", name, {}, opts);
        const checked = checkArgs("LocalRegistry", name, args, {
            port: rules.port,
            image: rules.image,
            containerName: rules.containerName,
            readyTimeoutSeconds: rules.seconds,
        });
        const port = checked.port ?? REGISTRY_PORT;
        const address = pulumi.output(port).apply(localRegistryAddress);

        const image = new docker.RemoteImage(
            `${name}-image`,
            // The image stays when the stack goes: another stack may use it, and the next `up` need not pull it.
            { name: checked.image ?? REGISTRY_IMAGE, keepLocally: true },
            { parent: this },
        );
        const container = new docker.Container(
            `${name}-container`,
            {
                name: checked.containerName ?? defaultContainerName(),
                image: image.imageId,
                ports: [{ internal: 5000, external: port, ip: "127.0.0.1", protocol: "tcp" }],
                envs: REGISTRY_ENVIRONMENT,
                labels: [{ label: "krustlet-stack.owner", value: owner() }],
                networkMode: "bridge",
                restart: "unless-stopped",
                mustRun: true,
                // The data is in a volume without a name, which goes with the container.
                removeVolumes: true,
            },
            // Its name and its port are taken until it is gone.
            { parent: this, deleteBeforeReplace: true },
        );
        this.instance = container.id;

        const ready = stepResource(
            `${name}-ready`,
            {
                create: "awaitRegistry",
                input: { address, plainHttp: true, timeoutSeconds: checked.readyTimeoutSeconds ?? 60 },
                triggers: [container.id],
            },
            { parent: this },
        );
        this.address = ready.output.address;

        this.registerOutputs({ address: this.address, instance: this.instance });
    }
}
