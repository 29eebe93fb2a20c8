// pulumi-resource-docker: a stand-in of Pulumi's Docker provider for machines where it cannot be had.
import { serveProvider } from "../lib/provider";
import { DockerProvider } from "./provider";

/** Replaced at build time by the version of @pulumi/docker. */
declare const STANDIN_VERSION: string;

serveProvider((log) => new DockerProvider(STANDIN_VERSION, log));
