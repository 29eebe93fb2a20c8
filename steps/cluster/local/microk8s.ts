// MicroK8s: https://microk8s.io/docs/command-reference. There is one on a machine.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StepError } from "../../lib/errors";
import { isErrno } from "../../lib/errors";
import { mark, markOf, unmark } from "./marks";
import { ask, askForSecret, tell, type LocalTool } from "./tool";

/**
 * What MicroK8s is told before it starts for the first time (its launch configuration): as it comes it lets everybody do everything and
 * knows no bootstrap tokens. JSON is YAML.
 */
export const launchConfiguration = `${JSON.stringify(
    {
        version: "0.1.0",
        addons: [{ name: "rbac" }, { name: "dns" }],
        extraKubeAPIServerArgs: { "--enable-bootstrap-token-auth": "true" },
    },
    null,
    2,
)}\n`;

/** Without a snapshot of its data, which would outlive it. */
const removal = ["snap", "remove", "microk8s", "--purge"];

/** `folder` is the snap's folder of data that all its revisions share; it goes with the snap. */
export const microk8sIn = (folder: string): LocalTool => ({
    component: "MicroK8sCluster",
    programs: ["snap"],
    docker: false,
    async find() {
        // All of them: of one alone snapd tells that it is not there by an error, in the user's language.
        const snaps = await ask(["snap", "list"]);
        if (!/^microk8s\s/m.test(snaps)) return undefined;
        // It fails where MicroK8s is installed in part alone or disabled: that is there, and does not run.
        const status = await ask(["microk8s", "status", "--format", "yaml"], () => true);
        return { owner: await markOf(folder), running: /^\s+running: True$/m.test(status) };
    },
    async create({ owner, version, waitSeconds }) {
        try {
            await mark(folder, owner);
        } catch (error) {
            if (!isErrno(error, "EACCES")) throw error;
            throw new StepError(
                "MicroK8sCluster: only root may install a snap; run as root, or install MicroK8s yourself and use it as an existing cluster",
            );
        }
        await writeFile(join(folder, ".microk8s.yaml"), launchConfiguration);
        const channel = version === undefined ? [] : [`--channel=${version}`];
        await tell(["snap", "install", "microk8s", "--classic", ...channel], waitSeconds + 600);
        await untilReady(waitSeconds);
    },
    async start({ waitSeconds }) {
        await tell(["microk8s", "start"], waitSeconds + 60);
        await untilReady(waitSeconds);
    },
    async remove() {
        await tell(removal, 600);
        await unmark(folder);
    },
    contextOf: () => "microk8s",
    kubeconfig: () => askForSecret(["microk8s", "config"]),
    begins: () => [["snap", "install", "microk8s"]],
    removal: () => removal,
});

async function untilReady(seconds: number): Promise<void> {
    await tell(["microk8s", "status", "--wait-ready", "--timeout", String(seconds)], seconds + 30);
}

export const microk8s = microk8sIn("/var/snap/microk8s/common");
