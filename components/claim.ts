import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Claim, StepClaim } from "../steps/contract";
import { parseOutput, stepCommand } from "./stepCommand";

/**
 * Whose things a stack's are, and on which host: what comes first of a stack and goes last. There is one for each Pulumi stack, made by
 * the first of our components in it. All that is made outside Pulumi's own resources bears its id, so that deleting it removes what a
 * run began and never recorded; and what bears another one is never touched.
 */
function makeClaim(): local.Command {
    return new local.Command("krustlet-stack-claim", {
        ...stepCommand("makeClaim").how,
        create: stepCommand("makeClaim").program,
        delete: stepCommand("releaseClaim").program,
        stdin: JSON.stringify({ owner: ownerName() }),
        logging: "stderr",
    });
}

/** A stack's claim, and what must have passed before anything is made in its name. */
interface StackClaim {
    resource: local.Command;
    output: pulumi.Output<Claim>;
    /** When the program began to use it, in milliseconds since 1970. */
    begun: number;
    gate: pulumi.Output<unknown>;
}

const claims = new WeakMap<object, StackClaim>();
const noStack = {};

/** What stands for the stack whose program runs now: a process may run the programs of several. */
export function thisStack(): object {
    return pulumi.runtime.getStackResource() ?? noStack;
}

function stackClaim(): StackClaim {
    const stack = thisStack();
    let found = claims.get(stack);
    if (found === undefined) {
        const resource = makeClaim();
        const output = resource.stdout.apply((text) => parseOutput("makeClaim", text));
        found = { resource, output, begun: Date.now(), gate: pulumi.output(undefined) };
        claims.set(stack, found);
    }
    return found;
}

/** `<project>/<stack>`: what the stack is called. */
export function ownerName(): string {
    return `${pulumi.getProject()}/${pulumi.getStack()}`;
}

/** The claim for steps that make something: known when all that must pass before has passed. */
export function claim(): pulumi.Output<Claim> {
    const { output, gate } = stackClaim();
    return pulumi.all([output, gate]).apply(([known]) => known);
}

/**
 * The claim's own resource, as `deletedWith` of what its end undoes as well: where the whole stack goes, that needs no process of its own
 * before.
 */
export function claimResource(): pulumi.Resource {
    return stackClaim().resource;
}

/** The claim's owner for such steps. */
export function owner(): pulumi.Output<string> {
    return claim().owner;
}

/**
 * The claim for steps that only look. In the first preview there is none yet: then nothing can be this stack's, and all that can be told
 * of the host is told all the same.
 */
export function claimForLooks(): pulumi.Output<StepClaim | undefined> {
    const { output, begun } = stackClaim();
    const forLooks = output.apply((claim) => ({
        ...claim,
        looks: true as const,
        ...(pulumi.runtime.isDryRun() ? {} : { updates: true as const }),
        fresh: (claim.at ?? 0) >= begun,
    }));
    return pulumi.output(isKnown(output).then((known) => (known ? forLooks : undefined)));
}

/** Whether an Output has a value by now: in a preview, what a resource that is yet to be made tells has none. */
export function isKnown(output: pulumi.Output<unknown>): Promise<boolean> {
    // Every Output has it; the SDK's types keep it to themselves.
    return (output as unknown as { isKnown: Promise<boolean> }).isKnown;
}

/** The owner for steps that only look. */
export function ownerForLooks(): pulumi.Output<string> {
    return claimForLooks().apply((known) => known?.owner ?? ownerName());
}

/** Has everything that is made from here on wait until something has passed. */
export function passFirst(passed: pulumi.Output<unknown>): void {
    const found = stackClaim();
    found.gate = pulumi.all([found.gate, passed]);
}
