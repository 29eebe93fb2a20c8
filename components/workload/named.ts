import type { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { owner } from "../claim";
import { labelOf } from "../options";
import type { NamedKind } from "../../steps/contract";
import { stepResource, type StepInput } from "../step";

/** An object whose name is given, as its steps know it. */
type Named = Omit<StepInput<"claimObject">, "owner" | "label" | "kind">;

const types: Record<NamedKind, string> = {
    Service: "kubernetes:core/v1:Service",
    RuntimeClass: "kubernetes:node.k8s.io/v1:RuntimeClass",
};

/** The object that is the resource of that name, as its steps know it. */
export function namedObject<N extends object>(kind: NamedKind, resource: string, named: N) {
    return { ...named, kind, label: labelOf(types[kind], resource) };
}

/**
 * Sees to it that an object whose name is given is made only where the name is free or this stack's, and deleted only where the object is:
 * the provider takes over what it finds, and deletes by the name alone. So the object comes after this, and is not the provider's to delete
 * but this one's, in the end.
 */
export function claimName(
    kind: NamedKind,
    resource: string,
    named: Named,
    opts: pulumi.CustomResourceOptions,
): { command: local.Command; options: pulumi.CustomResourceOptions } {
    const { kubeconfigFile, namespace, name } = named;
    const { command } = stepResource(
        `${resource}-claim`,
        {
            create: "claimObject",
            delete: "deleteObject",
            input: { ...namedObject(kind, resource, named), owner: owner() },
            triggers: [kubeconfigFile, namespace, name],
        },
        opts,
    );
    return { command, options: { dependsOn: [command], retainOnDelete: true } };
}
