// An API server, and the claim of a stack that uses it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepClaim } from "../../../../steps/contract";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import { ApiServer } from "../lib/apiServer";

export const claimId = "0123456789abcdef";
export const owner = `shop/dev/${claimId}`;

export interface ClaimedCluster {
    api: ApiServer;
    /** What is in it goes with it. */
    folder: string;
    kubeconfigFile: string;
    claim: StepClaim;
    end: () => Promise<void>;
}

/** Starts one, in whose claim the steps of this process are from then on. */
export async function claimedCluster(resource?: string): Promise<ClaimedCluster> {
    const folder = mkdtempSync(join(tmpdir(), "krustlet-stack-"));
    const kubeconfigFile = join(folder, "kubeconfig");
    const api = new ApiServer();
    await api.start();
    writeFileSync(kubeconfigFile, api.kubeconfig, { mode: 0o600 });
    const claim = { id: claimId, owner, folder: join(folder, "claim"), host: await thisHost(), resource };
    await enterClaim(claim);
    const end = async () => {
        await enterClaim(undefined);
        await api.stop();
        rmSync(folder, { recursive: true });
    };
    return { api, folder, kubeconfigFile, claim, end };
}
