// Whose stack a step works for, and where that stack is at home.
import { createHash } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import type { Claim, ClaimHost, StepClaim } from "../contract";
import { StepError } from "./errors";
import { expandHome, readOptional } from "./files";

let current: StepClaim | undefined;

/** The claim that this step works for; undefined for one that is run from a shell without one. */
export function currentClaim(): StepClaim | undefined {
    return current;
}

/** Takes a claim for this process' own, once it is known to be of this host. */
export async function enterClaim(claim: StepClaim | undefined): Promise<void> {
    if (claim !== undefined) checkHost(claim, await thisHost());
    current = claim;
}

/** This machine and this user of it. */
export async function thisHost(): Promise<ClaimHost> {
    // Machines that were copied from one image may have none; then the name is all that tells them apart.
    const machine = ((await readOptional("/etc/machine-id")) ?? "").trim() || hostname();
    const { uid, username } = userInfo();
    // The id itself is not for others to see: machine-id(5).
    const id = createHash("sha256").update(`krustlet-stack\0${machine}\0${uid}`).digest("hex").slice(0, 32);
    return { id, name: hostname(), user: username };
}

/** Fails where a claim is of another host: what it made is there, and what is here is not its. */
export function checkHost(claim: Claim, here: ClaimHost): void {
    if (claim.host.id === here.id) return;
    const there = describeHost(claim.host);
    throw new StepError(
        `this stack (${claim.owner}) was made on ${there}, and this is ${describeHost(here)}: run it there; if that host is gone for good, ` +
            `\`pulumi destroy\` with ${abandonVariable}=${claim.host.name} in the environment forgets what it had`,
    );
}

/** Names the host whose things are given up: its stack can then be destroyed from another one. */
export const abandonVariable = "KRUSTLET_STACK_ABANDON_HOST";

/** Whether what a claim made on another host is given up. */
export async function isAbandoned(claim: StepClaim | undefined): Promise<boolean> {
    if (claim === undefined || claim.host.id === (await thisHost()).id) return false;
    return process.env[abandonVariable] === claim.host.name;
}

function describeHost({ name, user }: ClaimHost): string {
    return `host "${name}" by user "${user}"`;
}

/** Folder of a claim on its host. */
export function claimFolderOf({ folder }: Pick<Claim, "folder">): string {
    return expandHome(folder);
}

/** The id in an owner's text, `<project>/<stack>/<id>`; undefined in one of before there were claims. */
export function idOf(owner: string): string | undefined {
    return /^[^/]+\/[^/]+\/([0-9a-f]{16})$/.exec(owner)?.[1];
}

/** `<project>/<stack>`: who an owner is to people. */
export function nameOf(owner: string): string {
    return idOf(owner) === undefined ? owner : owner.slice(0, owner.lastIndexOf("/"));
}

/** What stands for an owner where a name must stay the same when the stack gets another one. */
export function keyOf(owner: string): string {
    return idOf(owner) ?? owner;
}

/**
 * Whether something that bears `found` is of `whose`. What was made before there were claims bears no id: it is of the stack of
 * that name, if the state knows it.
 */
export function isOf(found: string | undefined, whose: string): boolean {
    if (found === undefined) return false;
    if (idOf(found) === undefined && idOf(whose) !== undefined)
        return found === nameOf(whose) && knownToState();
    return keyOf(found) === keyOf(whose);
}

/** Whether the state has what this step is about: Pulumi hands over what the step printed last. Looks change nothing, and may think so. */
export function knownToState(): boolean {
    return previousOutput() !== undefined || current?.looks === true;
}

/** What this resource's step printed last; undefined at its first run. */
export function previousOutput(): string | undefined {
    return process.env.PULUMI_COMMAND_STDOUT || undefined;
}

/** What claims a folder or an object: `krustlet-stack/dev`, and which one of that name. */
export function describeOwner(owner: string): string {
    const id = idOf(owner);
    return id === undefined ? owner : `${nameOf(owner)} (claim ${id})`;
}

export const journalFolder = (claim: Pick<Claim, "folder">) => join(claimFolderOf(claim), "made");
