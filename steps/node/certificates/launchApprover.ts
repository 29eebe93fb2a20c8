import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { ApproverInput, ApproverOutput } from "../../contract";
import * as own from "./approverFiles";
import { needApprover } from "./deciding";
import { containerName, shutIn, type ContainerPlace } from "../daemon/container";
import { startDaemon } from "../daemon/daemon";
import { clusterFrom } from "../daemon/onNetwork";
import { sha256OfFile, writePrivate } from "../../lib/files";
import { claimFolder } from "../folder";
import { removeIfOnlyClaimed } from "../bootstrap";
import { withKube } from "../../lib/kube/kube";
import { newKubeconfig } from "../../lib/kube/kubeconfig";
import { orUndo, progress, step } from "../../lib/step";

/** How long the approver may take to hear from the API server, in milliseconds. */
const watchMilliseconds = 30_000;

/** What the API server answers to a request for a token. */
interface TokenAnswer {
    status: { token: string };
}

/**
 * Starts the node's approver as a process of its own session, or in a container where the agent is in one, with a credential of its own: a
 * token of its ServiceAccount. One that runs already is replaced: it may be of other settings, of an earlier cluster or of an earlier
 * version.
 */
export async function launchApprover(input: ApproverInput): Promise<ApproverOutput> {
    const program = await needApprover();
    const files = own.approverFiles(input.stateDir);
    const claimed = await claimFolder(files.stateDir, input);
    const { nodeName, nodeIp, bootstrapGroup, namespace, serviceAccount, tokenSeconds } = input;
    const { certificateDurationSeconds, network, owner } = input;
    const settings: own.ApproverSettings = {
        ...{ nodeName, nodeIp, bootstrapGroup, namespace, serviceAccount, tokenSeconds },
        certificateDurationSeconds,
        nodeHost: network && containerName(owner, nodeName, "agent"),
    };
    return orUndo(
        async () => {
            const account = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}`;
            const tokenRequest = {
                apiVersion: "authentication.k8s.io/v1",
                kind: "TokenRequest",
                spec: { expirationSeconds: tokenSeconds },
            };
            const [cluster, place, answer, programSha256] = await Promise.all([
                clusterFrom(network, input.kubeconfigFile),
                approverPlace(input, files),
                withKube(input.kubeconfigFile, (kube) =>
                    kube.post<TokenAnswer>(`${account}/token`, tokenRequest),
                ),
                sha256OfFile(program),
            ]);
            await own.endApprovers(files, progress);
            // The new one would take it for another's that has come after it.
            await rm(files.pidFile, { force: true });
            const user = { name: "approver", fields: { token: answer.status.token } };
            await writePrivate(files.kubeconfigFile, newKubeconfig(user, cluster));
            await writePrivate(files.settingsFile, `${JSON.stringify(settings)}\n`);
            const record = await startDaemon(
                {
                    title: `CertificateApproval of node "${nodeName}": its approver`,
                    argv: own.approverArgv(program, files, place?.name),
                    env: own.approverEnvironment(process.env),
                    logFile: files.logFile,
                    pidFile: files.pidFile,
                    place,
                    works: ({ launchedAt }) =>
                        (statSync(files.contactFile, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= launchedAt,
                    watchMilliseconds,
                    mustShow: true,
                },
                { programSha256 },
            );
            const which =
                place === undefined ? `approver ${record.pid}` : `approver in container ${place.name}`;
            progress(`${which} of node "${nodeName}" started; its log: ${files.logFile}`);
            return { pid: record.pid, logFile: files.logFile };
        },
        async () => {
            await own.endApprovers(files, progress);
            await own.removeApproverFiles(files);
            if (claimed) await removeIfOnlyClaimed(files.stateDir);
        },
    );
}

/** The container that it is to run in; undefined: it is a process of this host's. */
async function approverPlace(
    { network, owner, nodeName }: ApproverInput,
    { stateDir }: own.ApproverFiles,
): Promise<ContainerPlace | undefined> {
    if (network === undefined) return undefined;
    return {
        name: containerName(owner, nodeName, "approver"),
        ...{ network, owner, stateDir, part: "approver" as const },
        ...(await shutIn([{ path: stateDir, readOnly: false }])),
    };
}

step(module, "launchApprover", own.approverInput, launchApprover);
