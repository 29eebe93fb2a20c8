import type * as pulumi from "@pulumi/pulumi";

/**
 * Keeps the children of components of one kind for their getters. They are no properties, for Pulumi's schema inference takes each
 * property of a component for an output, and refuses one that is a component or another package's resource.
 */
export class Children<C extends object> {
    private readonly kept = new WeakMap<pulumi.ComponentResource, C>();

    /** Called once, by the constructor. */
    keep(component: pulumi.ComponentResource, children: C): void {
        this.kept.set(component, children);
    }

    of(component: pulumi.ComponentResource): C {
        const children = this.kept.get(component);
        if (children === undefined) throw new Error("asked for children before they were made");
        return children;
    }
}
