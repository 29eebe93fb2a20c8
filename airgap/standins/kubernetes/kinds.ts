// What is known of kinds without asking a cluster: which are built in, which of those are not namespaced, and which changes
// the API server refuses, so that a change means a replacement.
import type { Props, Value } from "../lib/values";
import { at, isProps, textAt } from "../lib/values";

export interface GroupVersionKind {
    group: string;
    version: string;
    kind: string;
}

/** Groups that Kubernetes itself serves. Anything else is from a CustomResourceDefinition. */
const builtInGroups = new Set(
    (
        ",apps,batch,autoscaling,policy,extensions,admissionregistration.k8s.io,apiextensions.k8s.io," +
        "apiregistration.k8s.io,auditregistration.k8s.io,authentication.k8s.io,authorization.k8s.io," +
        "certificates.k8s.io,coordination.k8s.io,discovery.k8s.io,events.k8s.io,flowcontrol.apiserver.k8s.io," +
        "internal.apiserver.k8s.io,networking.k8s.io,node.k8s.io,rbac.authorization.k8s.io,resource.k8s.io," +
        "scheduling.k8s.io,storage.k8s.io,storagemigration.k8s.io"
    ).split(","),
);

const clusterScoped = new Set(
    (
        "APIService,CertificateSigningRequest,ClusterRole,ClusterRoleBinding,ClusterTrustBundle,ComponentStatus," +
        "CSIDriver,CSINode,CustomResourceDefinition,DeviceClass,FlowSchema,IPAddress,IngressClass," +
        "MutatingAdmissionPolicy,MutatingAdmissionPolicyBinding,MutatingWebhookConfiguration,Namespace,Node," +
        "PersistentVolume,PodSecurityPolicy,PriorityClass,PriorityLevelConfiguration,ResourceSlice,RuntimeClass," +
        "ServiceCIDR,StorageClass,StorageVersion,StorageVersionMigration,ValidatingAdmissionPolicy," +
        "ValidatingAdmissionPolicyBinding,ValidatingWebhookConfiguration,VolumeAttachment,VolumeAttributesClass"
    ).split(","),
);

/**
 * The kind behind a type token: kubernetes:apps/v1:Deployment. Throws for the types of @pulumi/kubernetes that are no
 * Kubernetes objects (Helm releases, YAML and Kustomize bundles) or another way of writing one (patches, lists).
 */
export function kindOfType(token: string): GroupVersionKind {
    const [pkg, module, kind] = token.split(":");
    const parts = (module ?? "").split("/");
    const builtIn = builtInGroups.has(parts[0] === "core" ? "" : parts[0]);
    const unserved =
        pkg !== "kubernetes" ||
        kind === undefined ||
        parts.length !== 2 ||
        /^(helm\.sh|yaml|kustomize)$/.test(parts[0]) ||
        (builtIn && /.(Patch|List)$/.test(kind));
    if (unserved) {
        throw new Error(`the air-gapped stand-in of the kubernetes plugin does not serve the type ${token}`);
    }
    return { group: parts[0] === "core" ? "" : parts[0], version: parts[1], kind };
}

export function kindOfObject(object: Props): GroupVersionKind {
    const parts = textAt(object, "apiVersion").split("/");
    const kind = textAt(object, "kind");
    return parts.length === 1
        ? { group: "", version: parts[0], kind }
        : { group: parts[0] === "core" ? "" : parts[0], version: parts[1], kind };
}

export function isBuiltIn(gvk: GroupVersionKind): boolean {
    return builtInGroups.has(gvk.group);
}

/** Whether objects of a built-in kind have a namespace; undefined for a kind that only a cluster knows. */
export function isNamespaced(gvk: GroupVersionKind): boolean | undefined {
    return isBuiltIn(gvk) ? !clusterScoped.has(gvk.kind) : undefined;
}

export function isSecretObject(object: Props): boolean {
    const gvk = kindOfObject(object);
    return gvk.group === "" && gvk.kind === "Secret";
}

const selector = [".spec.selector"];

const containerFields = (
    "args,command,env,image,imagePullPolicy,lifecycle,livenessProbe,ports,readinessProbe,resources,securityContext," +
    "stdin,stdinOnce,terminationMessagePath,terminationMessagePolicy,tty,volumeDevices,volumeMounts,workingDir"
).split(",");

const podFields = (
    "affinity,automountServiceAccountToken,dnsConfig,dnsPolicy,enableServiceLinks,hostAliases,hostIPC,hostNetwork," +
    "hostPID,hostname,imagePullSecrets,nodeName,nodeSelector,overhead,preemptionPolicy,priority,priorityClassName," +
    "readinessGates,restartPolicy,runtimeClassName,schedulerName,securityContext,serviceAccount,serviceAccountName," +
    "shareProcessNamespace,subdomain,terminationGracePeriodSeconds,volumes"
).split(",");

const volumeFields = (
    "awsElasticBlockStore,azureDisk,azureFile,cephfs,cinder,csi,fc,flexVolume,flocker,gcePersistentDisk,glusterfs," +
    "hostPath,iscsi,local,nfs,photonPersistentDisk,portworxVolume,quobyte,rbd,scaleIO,storageos,vsphereVolume"
).split(",");

const spec = (fields: string[]): string[] => fields.map((field) => `.spec.${field}`);

/** Property paths whose change replaces an object of `group/version/kind`; the version is left out where all agree. */
const replacing: Record<string, string[]> = {
    "/PersistentVolume": spec(volumeFields),
    "/PersistentVolumeClaim": spec(["accessModes", "selector", "storageClassName", "volumeName"]),
    "/Pod": [
        ...spec(podFields),
        ...["containers", "initContainers"].flatMap((list) =>
            containerFields.map((field) => `.spec.${list}[*].${field}`),
        ),
    ],
    "/ResourceQuota": [".spec.scopes"],
    "/Secret": [".type"],
    "/Service": [".spec.clusterIP"],
    "apps/DaemonSet": selector,
    "apps/Deployment": selector,
    "apps/StatefulSet": spec([
        "podManagementPolicy",
        "revisionHistoryLimit",
        "selector",
        "serviceName",
        "volumeClaimTemplates",
    ]),
    "batch/Job": spec(["completions", "parallelism", "selector", "template"]),
    "rbac.authorization.k8s.io/ClusterRoleBinding": [".roleRef"],
    "rbac.authorization.k8s.io/RoleBinding": [".roleRef"],
    "storage.k8s.io/StorageClass": [".parameters", ".provisioner"],
};

export interface Mutability {
    configMapMutable: boolean;
    secretMutable: boolean;
}

/** The property paths whose change replaces this object. */
export function replacingPaths(object: Props, mutability: Mutability): string[] {
    const { group, kind } = kindOfObject(object);
    const paths = [".metadata.name", ".metadata.namespace"];
    const immutable = object.immutable === true;
    if (isSecretObject(object) && (!mutability.secretMutable || immutable)) {
        return [...paths, ".type", ".stringData", ".data"];
    }
    if (group === "" && kind === "ConfigMap" && (!mutability.configMapMutable || immutable)) {
        return [...paths, ".binaryData", ".data"];
    }
    return [...paths, ...(replacing[`${group}/${kind}`] ?? [])];
}

/** Whether a tree of changed values has something at a path such as `.spec.containers[*].image`. */
export function touches(tree: Value, path: string): boolean {
    const steps = path
        .replaceAll("[*]", ".*")
        .split(".")
        .filter((step) => step !== "");
    const walk = (here: Value | undefined, index: number): boolean => {
        if (index === steps.length) {
            return here !== undefined;
        }
        if (steps[index] === "*") {
            return Array.isArray(here) && here.some((element) => walk(element, index + 1));
        }
        return isProps(here) && steps[index] in here && walk(at(here, steps[index]), index + 1);
    };
    return walk(tree, 0);
}
