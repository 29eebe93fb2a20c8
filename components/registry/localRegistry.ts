import type { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { dataVolumeName, REGISTRY_ENVIRONMENT, REGISTRY_IMAGE, REGISTRY_PORT } from "../defaults";
import { owner, ownerName } from "../claim";
import { ownName } from "../names";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { boolean, checkArgs } from "../validation";

export interface LocalRegistryArgs {
    /** Port on this host's loopback address. Default: 5001. */
    port?: pulumi.Input<number>;
    /** Image of the registry (CNCF Distribution 3). Default: `registry:3.1.2`. */
    image?: pulumi.Input<string>;
    /** Name of its container. Default: `<project>-<stack>-registry`. */
    containerName?: pulumi.Input<string>;
    /**
     * Whether its data stays when it is destroyed: in the Docker volume `<container name>-data`, where the next `up` finds it.
     * `docker volume rm` removes it. Default: false, and the data goes with the registry.
     */
    keepData?: boolean;
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

/** Port that the registry listens on in its container. */
export const CONTAINER_PORT = 5000;

/** Where the image of CNCF Distribution keeps its data. */
const DATA_PATH = "/var/lib/registry";

const children = new Children<{
    image: docker.RemoteImage;
    data: docker.Volume | undefined;
    room: local.Command;
    container: docker.Container;
    ready: local.Command;
}>();

/**
 * An OCI registry in a Docker container, for this host alone: plain HTTP on the loopback address, without a login. It starts again
 * with Docker, and after a failure, with the data that it had. RegistryHosting lets a cluster's own nodes pull from it.
 *
 * @example
 * const registry = new LocalRegistry("registry", { port: 5001, keepData: true });
 */
export class LocalRegistry extends pulumi.ComponentResource {
    /** `localhost:<port>`, known as soon as the registry answers. Plain HTTP: a client must be told so. */
    readonly address: pulumi.Output<string>;
    /**
     * What holds its data: the container's id, or with `keepData` the volume's name. Another one has no data, and what was pushed
     * must be pushed again.
     */
    readonly instance: pulumi.Output<string>;
    /** Name of its container, known as soon as the registry answers. */
    readonly containerName: pulumi.Output<string>;

    constructor(name: string, args: LocalRegistryArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:LocalRegistry", name, {}, opts);
        const checked = checkArgs("LocalRegistry", name, args, {
            port: rules.port,
            image: rules.image,
            containerName: rules.containerName,
            keepData: boolean,
            readyTimeoutSeconds: rules.seconds,
        });
        const port = checked.port ?? REGISTRY_PORT;
        const address = pulumi.output(port).apply(localRegistryAddress);
        const containerName = pulumi.output(checked.containerName ?? defaultContainerName());
        const label = (value: pulumi.Input<string>) => [{ label: "krustlet-stack.owner", value }];

        // Docker hands over a volume of that name which is there already: the data of before.
        const data = checked.keepData
            ? new docker.Volume(
                  `${name}-data`,
                  {
                      // Not before the container may be made: this is data of the user's, and may be somebody else's.
                      name: pulumi.all([containerName, owner()]).apply(([known]) => dataVolumeName(known)),
                      // The stack by its name: the next one of that name finds the data of this one.
                      labels: label(ownerName()),
                  },
                  { parent: this, retainOnDelete: true },
              )
            : undefined;
        const observed = stepInvoke(
            "observeRegistry",
            { resource: `${name}-ready`, containerName },
            { parent: this },
        );
        const image = new docker.RemoteImage(
            `${name}-image`,
            {
                name: checked.image ?? REGISTRY_IMAGE,
                // The image stays when the stack goes: another stack may use it, and the next `up` need not pull it.
                keepLocally: true,
                // What took the container away may have taken the image too, which Pulumi would not see.
                pullTriggers: observed.apply(({ lost }) => (lost === undefined ? [] : [lost])),
            },
            { parent: this },
        );
        const room = stepResource(
            `${name}-room`,
            { create: "clearRegistry", input: { containerName, lost: observed.lost } },
            { parent: this },
        );
        const container = new docker.Container(
            `${name}-container`,
            {
                name: containerName,
                image: image.imageId,
                ports: [{ internal: CONTAINER_PORT, external: port, ip: "127.0.0.1", protocol: "tcp" }],
                envs: REGISTRY_ENVIRONMENT,
                // Pulumi does not see that a container has gone: another label makes it anew.
                labels: pulumi
                    .all([owner(), observed.lost])
                    .apply(([ours, lost]) => [
                        ...label(ours),
                        ...(lost === undefined ? [] : [{ label: "krustlet-stack.because", value: lost }]),
                    ]),
                networkMode: "bridge",
                restart: "unless-stopped",
                mustRun: true,
                volumes: data && [{ volumeName: data.name, containerPath: DATA_PATH }],
                // Without `keepData` the data is in a volume without a name, which goes with the container.
                removeVolumes: true,
            },
            // Its name and its port are taken until it is gone.
            { parent: this, deleteBeforeReplace: true, dependsOn: room.command },
        );
        this.instance = data ? data.name : container.id;

        const ready = stepResource(
            `${name}-ready`,
            {
                create: "awaitRegistry",
                delete: "forget",
                input: {
                    address,
                    plainHttp: true,
                    timeoutSeconds: checked.readyTimeoutSeconds ?? 60,
                    container: pulumi.output({ id: container.id, name: containerName, volume: data?.name }),
                    because: observed.because,
                    lost: observed.lost,
                },
                stands: address.apply((given) => ({ address: given })),
            },
            { parent: this },
        );
        this.address = ready.output.address;
        this.containerName = pulumi.all([containerName, this.address]).apply(([known]) => known);
        children.keep(this, { image, data, room: room.command, container, ready: ready.command });

        this.registerOutputs({
            address: this.address,
            instance: this.instance,
            containerName: this.containerName,
        });
    }

    /** The image: `<name>-image`. */
    get image(): docker.RemoteImage {
        return children.of(this).image;
    }

    /** The volume, with `keepData`: `<name>-data`. */
    get data(): docker.Volume | undefined {
        return children.of(this).data;
    }

    /** The Command that makes room for the container: `<name>-room`. */
    get room(): local.Command {
        return children.of(this).room;
    }

    /** The container: `<name>-container`. */
    get container(): docker.Container {
        return children.of(this).container;
    }

    /** The Command that waits until it answers: `<name>-ready`. */
    get ready(): local.Command {
        return children.of(this).ready;
    }
}
