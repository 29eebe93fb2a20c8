import { statSync } from "node:fs";
import { join } from "node:path";
import type { ApproverInput, ApproverOutput } from "../../contract";
import * as own from "./approverFiles";
import { startDaemon } from "../daemon";
import { writePrivate } from "../../lib/files";
import { claimFolder } from "../folder";
import { removeIfOnlyClaimed } from "../bootstrap";
import { clusterOf, withKube } from "../../lib/kube/kube";
import { orUndo, progress, step } from "../../lib/step";

/** How long the approver may take to hear from the API server, in milliseconds. */
const watchMilliseconds = 30_000;

/**
 * Starts the node's approver as a process of its own session, with a credential of its own: a token of its ServiceAccount. One
 * that runs already is replaced: it may be of other settings, of an earlier cluster or of an earlier version.
 */
export async function launchApprover(input: ApproverInput): Promise<ApproverOutput> {
    const files = own.approverFiles(input.stateDir);
    const claimed = await claimFolder(files.stateDir, input);
    const { nodeName, nodeIp, bootstrapGroup, namespace, serviceAccount, tokenSeconds } = input;
    const { certificateDurationSeconds } = input;
    const settings: own.ApproverSettings = {
        ...{ nodeName, nodeIp, bootstrapGroup, namespace, serviceAccount, tokenSeconds },
        certificateDurationSeconds,
    };
    return orUndo(
        async () => {
            const { path, body } = own.tokenRequest(input);
            const [cluster, answer] = await Promise.all([
                clusterOf(input.kubeconfigFile),
                withKube(input.kubeconfigFile, (kube) => kube.post<own.TokenAnswer>(path, body)),
            ]);
            const authority = Buffer.from(cluster.certificateAuthorityData, "base64").toString("utf8");
            await own.endApprovers(files, progress);
            await own.writeCredential(
                files,
                own.credentialOf(cluster.server, authority, answer.status.token),
            );
            await writePrivate(files.settingsFile, `${JSON.stringify(settings)}\n`);
            const record = await startDaemon(
                {
                    title: `CertificateApproval of node "${nodeName}": its approver`,
                    argv: own.approverArgv(process.execPath, join(__dirname, "approver.js"), files),
                    env: own.approverEnvironment(process.env),
                    logFile: files.logFile,
                    pidFile: files.pidFile,
                    works: (launchedAt) =>
                        (statSync(files.contactFile, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= launchedAt,
                    watchMilliseconds,
                    mustShow: true,
                },
                {},
            );
            progress(`approver ${record.pid} of node "${nodeName}" started; its log: ${files.logFile}`);
            return { pid: record.pid, logFile: files.logFile };
        },
        async () => {
            await own.endApprovers(files, progress);
            await own.removeApproverFiles(files);
            if (claimed) await removeIfOnlyClaimed(files.stateDir);
        },
    );
}

step(module, "launchApprover", own.approverInput, launchApprover);
