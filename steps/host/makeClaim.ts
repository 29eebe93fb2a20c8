import { randomBytes } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Claim, MakeClaimInput } from "../contract";
import { checkHost, previousOutput, thisHost } from "../lib/claim";
import { object, owner } from "../lib/schema";
import { step } from "../lib/step";

export const claimInput = object<MakeClaimInput>({ owner });

/** Gives a stack its id and its host. One that has them keeps them, whatever it is called by now. */
export async function makeClaim({ owner }: MakeClaimInput): Promise<Claim> {
    const here = await thisHost();
    const last = previousOutput();
    const before = last === undefined ? undefined : (JSON.parse(last) as Claim);
    if (before) checkHost(before, here);
    const id = before?.id ?? randomBytes(8).toString("hex");
    // Nothing is written before something is made: a claim that was never recorded leaves nothing.
    return {
        id,
        owner: `${owner}/${id}`,
        folder: before?.folder ?? join(claimsFolder(), id),
        host: before?.host ?? here,
        at: before ? before.at : Date.now(),
    };
}

/** Where the claims of this user are on this host. */
function claimsFolder(): string {
    const home = process.env.KRUSTLET_STACK_HOME || join(homedir(), ".local/state/krustlet-stack");
    return join(resolve(home), "claims");
}

step(module, "makeClaim", claimInput, makeClaim);
