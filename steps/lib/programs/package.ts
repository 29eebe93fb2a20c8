import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** The folder of this package: the first one above this file with a package.json, in a checkout as when it is installed. */
export const packageFolder = (() => {
    let folder = __dirname;
    while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
    return folder;
})();

/** Whether this is a checkout of the source, which has commands of its own for what is missing. */
const isCheckout = existsSync(join(packageFolder, "build", "compile.cjs"));

/** This package's folder in the user's cache. */
export function cacheFolder(): string {
    return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "krustlet-stack");
}

/** Where each tool says how it is installed, or whose it is. */
const installPages: Readonly<Record<string, string>> = {
    cargo: "https://rustup.rs",
    docker: "https://docs.docker.com/engine/install",
    k3d: "https://k3d.io",
    kind: "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    kubectl: "https://kubernetes.io/docs/tasks/tools",
    ldd: "of this system's C library",
    microk8s: "https://microk8s.io",
    minikube: "https://minikube.sigs.k8s.io/docs/start",
    tar: "a package of this system's",
};

/** What to do about tools that are not on PATH: the end of a message. */
export function howToGet(tools: readonly string[], checkout = isCheckout): string {
    if (checkout) return "`npm run doctor` shows what to do";
    const named = tools.map((tool) =>
        tool in installPages ? `${tool} (${installPages[tool]})` : `${tool}, or give its path`,
    );
    return `install ${named.join(", ")}`;
}
