// What a stack must be allowed in a cluster that it did not make, and who it is there.
import type { FindClusterInput, WorkloadKind } from "../../contract";
import type { Kube } from "../../lib/kube/kube";

/** A right as an access review asks for it. */
export interface Right {
    verb: string;
    /** Empty: the core group. */
    group: string;
    /** `certificatesigningrequests/approval` */
    resource: string;
    /** Unset: in all of them, or the resource is in none. */
    namespace?: string;
    /** One object alone. */
    name?: string;
}

const rightsTo = (
    verbs: string,
    group: string,
    resource: string,
    where: Pick<Right, "namespace" | "name"> = {},
): Right[] => verbs.split(" ").map((verb) => ({ verb, group, resource, ...where }));

const certificates = "certificates.k8s.io";
const discovery = "discovery.k8s.io";
const rbac = "rbac.authorization.k8s.io";
const system = { namespace: "kube-system" };
/** What Pulumi's provider does with an object, its waiting included. */
const provided = "create get list watch patch delete";

/** What a Wasm node needs, from its bootstrap to its end. */
const nodeRights: Right[] = [
    ...rightsTo("get", "", "namespaces", { name: "kube-system" }),
    // The bootstrap token, and its end.
    ...rightsTo("create get deletecollection", "", "secrets", system),
    // Nobody may give rights that he has not: the node's and its approver's are among these.
    ...rightsTo("create get list watch delete", certificates, "certificatesigningrequests"),
    ...rightsTo("update", certificates, "certificatesigningrequests/approval"),
    ...["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"].flatMap((name) =>
        rightsTo("approve", certificates, "signers", { name }),
    ),
    ...rightsTo(provided, rbac, "clusterroles"),
    ...rightsTo(provided, rbac, "clusterrolebindings"),
    ...rightsTo(provided, rbac, "roles", system),
    ...rightsTo(provided, rbac, "rolebindings", system),
    ...rightsTo(provided, "", "serviceaccounts", system),
    ...rightsTo("create", "", "serviceaccounts/token", system),
    ...rightsTo("get list watch delete", "", "nodes"),
    ...rightsTo("list", discovery, "endpointslices"),
    ...rightsTo("delete", "coordination.k8s.io", "leases", { namespace: "kube-node-lease" }),
    ...rightsTo(provided, "node.k8s.io", "runtimeclasses"),
];

/** What a workload's Service needs, the wait for what it leads to included. */
const serviceRights = (namespace: string): Right[] => [
    ...rightsTo(provided, "", "services", { namespace }),
    ...rightsTo("list watch", discovery, "endpointslices", { namespace }),
];

/** Groups and resources of a kind of workload and of what stands between it and its pods. */
const workloadResources: Record<WorkloadKind, { group: string; resource: string; beside?: string }> = {
    Pod: { group: "", resource: "pods" },
    Deployment: { group: "apps", resource: "deployments", beside: "replicasets" },
    DaemonSet: { group: "apps", resource: "daemonsets", beside: "controllerrevisions" },
    Job: { group: "batch", resource: "jobs" },
    CronJob: { group: "batch", resource: "cronjobs" },
};

/** All rights that a stack needs, each once. */
export function rightsFor({
    workloads,
    pullSecretNamespaces,
}: Pick<FindClusterInput, "workloads" | "pullSecretNamespaces">): Right[] {
    const all = [
        ...nodeRights,
        ...workloads.flatMap(({ kind, namespace, service }) => {
            const { group, resource, beside } = workloadResources[kind];
            return [
                ...rightsTo(provided, group, resource, { namespace }),
                ...(beside === undefined ? [] : rightsTo("get list watch", group, beside, { namespace })),
                ...(service ? serviceRights(namespace) : []),
                ...rightsTo("get list watch", "", "pods", { namespace }),
                ...rightsTo("get", "", "pods/log", { namespace }),
                ...rightsTo("get list watch", "", "events", { namespace }),
            ];
        }),
        ...pullSecretNamespaces.flatMap((namespace) =>
            rightsTo("create get update delete", "", "secrets", { namespace }),
        ),
    ];
    return [...new Map(all.map((right) => [JSON.stringify(right), right])).values()];
}

/** `create clusterroles.rbac.authorization.k8s.io`, as `kubectl auth can-i` takes it. */
export function nameOf({ verb, group, resource, namespace, name }: Right): string {
    const [plain, below] = resource.split("/");
    const full = `${plain}${group && `.${group}`}${below === undefined ? "" : `/${below}`}`;
    return `${verb} ${full}${name === undefined ? "" : ` ${name}`}${namespace === undefined ? "" : ` in ${namespace}`}`;
}

/** Those of the rights that whoever the kubeconfig is for does not have. */
export async function missingRights(kube: Kube, rights: Right[]): Promise<Right[]> {
    // Most often it is an administrator: one question then instead of sixty.
    if (await mayDo(kube, { verb: "*", group: "*", resource: "*" })) return [];
    const allowed = await Promise.all(rights.map((right) => mayDo(kube, right)));
    return rights.filter((_, index) => !allowed[index]);
}

async function mayDo(kube: Kube, { verb, group, resource, namespace, name }: Right): Promise<boolean> {
    const [plain, subresource] = resource.split("/");
    const review = await kube.post<{ status?: { allowed?: boolean } }>(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            apiVersion: "authorization.k8s.io/v1",
            kind: "SelfSubjectAccessReview",
            spec: { resourceAttributes: { verb, group, resource: plain, subresource, namespace, name } },
        },
    );
    return review.status?.allowed === true;
}
