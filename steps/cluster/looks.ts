// What the preflight learns of a stack's cluster before anything is made, by the kind of the cluster.
import type { PreflightCluster, WantedName } from "../contract";
import { containers, gatewayOf, network, type Container } from "../lib/docker";
import { isMissing, messageOf } from "../lib/errors";
import { accessOf } from "../lib/kube/access";
import { Kube } from "../lib/kube/kube";
import { nameFault } from "../workload/named/named";
import { findCluster } from "./existing/findCluster";
import * as kind from "./kind/kind";
import { foreign, localTools } from "./local/localCluster";

/** What a cluster needs, and how to look at it. */
export interface ClusterLook {
    /** Programs that its steps start. */
    programs: string[];
    /** Whether it is in this host's Docker. */
    docker: boolean;
    look(): Promise<ClusterFacts>;
}

export interface ClusterFacts {
    /** Why the stack could not be made. */
    faults: string[];
    /** Containers of its own that are there already. */
    own?: Container[];
    /** Where its nodes will listen, as far as that is known. */
    nodeAddress?: string;
}

export function lookAt(cluster: PreflightCluster, owner: string, names: WantedName[]): ClusterLook {
    const all = [
        cluster.kind && lookAtKind(cluster.kind, owner),
        cluster.existing && lookAtExisting(cluster.existing, owner, names),
        cluster.local && lookAtLocal(cluster.local, owner),
    ];
    return (
        all.find((one) => one !== undefined) ?? {
            programs: [],
            docker: false,
            look: () => Promise.resolve({ faults: [] }),
        }
    );
}

function lookAtKind({ name }: NonNullable<PreflightCluster["kind"]>, owner: string): ClusterLook {
    return {
        programs: ["docker", "kind"],
        docker: true,
        look: async () => {
            const cluster = await containers(`label=${kind.clusterLabel}=${name}`);
            const place = await network(kind.networkOf(cluster));
            return {
                faults: kind.isOurs(cluster, owner) ? [] : [kind.notOurs(name, cluster, owner)],
                own: cluster,
                nodeAddress: place && gatewayOf(place),
            };
        },
    };
}

function lookAtExisting(
    input: NonNullable<PreflightCluster["existing"]>,
    owner: string,
    names: WantedName[],
): ClusterLook {
    return {
        programs: [],
        docker: false,
        look: async () => {
            try {
                const { nodeAddress } = await findCluster(input);
                const kube = new Kube(await accessOf(input.kubeconfigFile, input.context));
                const faults = await Promise.all(names.map((name) => nameFault(kube, { ...name, owner })));
                return { faults: faults.filter((one) => one !== undefined), nodeAddress };
            } catch (error) {
                return { faults: [messageOf(error)] };
            }
        },
    };
}

function lookAtLocal({ tool, name }: NonNullable<PreflightCluster["local"]>, owner: string): ClusterLook {
    const { programs, docker, ...rest } = localTools[tool];
    return {
        programs,
        docker,
        look: async () => {
            try {
                const found = await rest.find(name);
                const fault = found && foreign(localTools[tool], name, found, owner);
                return { faults: fault === undefined ? [] : [fault] };
            } catch (error) {
                // That its tool is not there, the preflight says already.
                return { faults: isMissing(error) ? [] : [messageOf(error)] };
            }
        },
    };
}
