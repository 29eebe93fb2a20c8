// pulumi-resource-kubernetes: a stand-in of Pulumi's Kubernetes provider for machines where it cannot be had.
import { serveProvider } from "../lib/provider";
import { KubernetesProvider } from "./provider";

/** Replaced at build time by the version of @pulumi/kubernetes. */
declare const STANDIN_VERSION: string;

serveProvider((log) => new KubernetesProvider(STANDIN_VERSION, log));
