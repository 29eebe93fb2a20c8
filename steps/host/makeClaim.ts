import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Claim, MakeClaimInput } from "../contract";
import { checkHost, previousOutput, thisHost } from "../lib/claim";
import { writePrivate } from "../lib/files";
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
    const claim = {
        id,
        owner: `${owner}/${id}`,
        folder: before?.folder ?? join(claimsFolder(), id),
        host: before?.host ?? here,
    };
    await mkdir(claim.folder, { recursive: true, mode: 0o700 });
    await writePrivate(join(claim.folder, "claim.json"), `${JSON.stringify(claim)}\n`);
    return claim;
}

/** Where the claims of this user are on this host. */
function claimsFolder(): string {
    const home = process.env.KRUSTLET_STACK_HOME || join(homedir(), ".local/state/krustlet-stack");
    return join(resolve(home), "claims");
}

step(module, "makeClaim", claimInput, makeClaim);
