import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { owner, ownerName } from "../claim";
import { ownName } from "../names";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { checkArgs, required, text } from "../validation";

export interface RegistryPullSecretArgs {
    /** File with the admin kubeconfig of the cluster: `KindCluster.kubeconfigFile`. Required. */
    kubeconfigFile: pulumi.Input<string>;
    /** What tells this cluster from any other, made before or after it: `KindCluster.identity`. Required. */
    clusterIdentity: pulumi.Input<string>;
    /** Registry (host or host:port) that the login is for. Required. Example: `ghcr.io`. */
    registry: pulumi.Input<string>;
    /** Namespace of the pods, which must exist. Default: `default`. */
    namespace?: pulumi.Input<string>;
    /** Name of the Secret. Default: `<project>-<stack>-pull`, in the letters that Kubernetes allows. */
    secretName?: pulumi.Input<string>;
    /**
     * Docker's config file with the login; `~` is the home folder. Default: Docker's own, `$DOCKER_CONFIG/config.json` or else
     * `~/.docker/config.json`.
     */
    dockerConfigFile?: pulumi.Input<string>;
}

/** Name of a stack's pull Secret unless it is told another one. */
export function defaultSecretName(): string {
    return secretNameOf(ownName("pull"));
}

/** A name in the letters that Kubernetes allows: a project or a stack may have others. */
export function secretNameOf(text: string): string {
    return text
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "")
        .slice(0, 63)
        .replace(/-$/, "");
}

const children = new Children<{ secret: local.Command }>();

/**
 * The Secret that pods of a namespace pull from a private registry with, made of the login that Docker has on this host: from its
 * config file, or from the credential helper that is named there. Where there is no login there is no Secret.
 *
 * The login goes from there to the cluster and is never part of Pulumi's state, log or output. What the state holds, encrypted, is a
 * fingerprint of it (scrypt), by which each `up` sees another login, and writes the Secret anew; so it does where that is gone or was changed. A Secret of that name which
 * this stack did not make is never touched: the update fails and says so.
 *
 * @example
 * const pull = new RegistryPullSecret("pull", { kubeconfigFile: cluster.kubeconfigFile, clusterIdentity: cluster.identity,
 *     registry: "ghcr.io" }, cluster.inCluster());
 * new WasmPod("hello", { image: artifact.reference, imagePullSecrets: pull.names, kubeconfigFile: cluster.kubeconfigFile },
 *     cluster.inCluster());
 */
export class RegistryPullSecret extends pulumi.ComponentResource {
    /** The Secret's name, or none where there is no login: `imagePullSecrets` of a workload. */
    readonly names: pulumi.Output<string[]>;

    /** @param opts `dependsOn` may be the namespace, `deletedWith` the cluster's provider. */
    constructor(name: string, args: RegistryPullSecretArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:RegistryPullSecret", name, {}, opts);
        const checked = checkArgs("RegistryPullSecret", name, args, {
            kubeconfigFile: required(text, "cluster.kubeconfigFile"),
            clusterIdentity: required(text, "cluster.identity"),
            registry: required(rules.registry, '"ghcr.io"'),
            namespace: rules.dnsLabel,
            secretName: rules.objectName,
            dockerConfigFile: text,
        });
        const { kubeconfigFile, clusterIdentity, registry, dockerConfigFile } = checked;
        const namespace = checked.namespace ?? "default";
        const secretName = checked.secretName ?? defaultSecretName();

        const login = stepInvoke(
            "describeLogin",
            {
                registry,
                dockerConfigFile,
                // It is no secret; it makes the same login another text in each stack.
                salt: `krustlet-stack login of ${ownerName()}`,
                mayBuild: !pulumi.runtime.isDryRun(),
            },
            { parent: this },
        );
        const fingerprint = login.apply(({ known, fingerprint }) => {
            if (known) return fingerprint;
            void pulumi.log.info("wasm-oci is yet to be built: the update looks at the login");
            return pulumi.unknown as unknown as null;
        });
        const observed = stepInvoke("observePullSecret", { resource: `${name}-secret` }, { parent: this });
        const secret = stepResource(
            `${name}-secret`,
            {
                create: "createPullSecret",
                delete: "deletePullSecret",
                input: {
                    kubeconfigFile,
                    owner: owner(),
                    namespace,
                    name: secretName,
                    registry,
                    dockerConfigFile,
                    fingerprint: pulumi.secret(fingerprint),
                    because: observed.because,
                },
                triggers: [clusterIdentity, namespace, secretName],
                stands: pulumi
                    .all([login, secretName])
                    .apply(([{ known, fingerprint }, told]) =>
                        known ? { name: fingerprint === null ? null : told } : undefined,
                    ),
            },
            { parent: this, dependsOn: opts?.dependsOn, deletedWith: opts?.deletedWith },
        );
        this.names = secret.output.name.apply((known) => (known === null ? [] : [known]));
        children.keep(this, { secret: secret.command });

        this.registerOutputs({ names: this.names });
    }

    /** The Command that writes the Secret: `<name>-secret`. */
    get secret(): local.Command {
        return children.of(this).secret;
    }
}
