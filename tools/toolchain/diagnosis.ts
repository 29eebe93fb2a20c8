import { WASI_TARGETS, type WasiTarget } from "../../steps/workload/target";
import { canInstallDocker, dockerProblem, rustProblem, type Host, type Problem } from "./advice";
import { ownPrograms } from "../../steps/lib/programs/build";
import type { Source } from "./decide";
import {
    TOOLS,
    type InspectedImage,
    type InspectedRust,
    type InspectedTool,
    type Inspection,
} from "./inspect";
import { formatVersion } from "../../common/semver";
import {
    DOCKER_MINIMUM,
    KIND_VERSION,
    KUBERNETES_VERSION,
    NODE_MINIMUM,
    PLUGINS,
    PULUMI_VERSION,
    RUST_MINIMUM,
} from "../../common/versions";

/** One line of what `npm run doctor` shows. */
export interface Row {
    tool: string;
    /** The version that is here, or that will be got. */
    version: string;
    /** Where it comes from, and why. */
    decision: string;
    /** Must something be done by hand? */
    problem?: Problem;
}

/** What the diagnosis is made from. */
export interface Facts {
    inspection: Inspection;
    host: Host;
    nodeVersion: string;
    /** Where tools come from that are not here yet, and why. */
    source: Source;
    because: string;
    /** What the air-gapped builds lack on this machine. */
    airgapMissing: readonly string[];
}

const PINNED: Record<(typeof TOOLS)[number], string> = {
    pulumi: PULUMI_VERSION,
    "plugin-command": PLUGINS.command.version,
    "plugin-kubernetes": PLUGINS.kubernetes.version,
    "plugin-docker": PLUGINS.docker.version,
    kind: KIND_VERSION,
    kubectl: KUBERNETES_VERSION,
};

function airgapProblem(facts: Facts): Problem | undefined {
    if (facts.source === "official" || facts.airgapMissing.length === 0) return undefined;
    return {
        what: `official releases cannot be had (${facts.because}), and for building it from packages: ${facts.airgapMissing.join("; ")}`,
        todo: "Install what is missing, or let this machine reach github.com, dl.k8s.io and Docker Hub",
    };
}

function toolRow({ name, decision, release }: InspectedTool, facts: Facts): Row {
    const tool = name.replace("plugin-", "plugin ");
    const instead = "passedOver" in decision && decision.passedOver ? `; ${decision.passedOver}` : "";
    switch (decision.from) {
        case "path":
            return { tool, version: decision.version, decision: `PATH: ${decision.file}` };
        case "cache":
            return {
                tool,
                version: PINNED[name],
                decision: `${decision.source === "official" ? "cache, official release" : "cache, air-gapped build"}: ${decision.dir}${instead}`,
            };
        case "get": {
            if (facts.source === "airgap") {
                return {
                    tool,
                    version: PINNED[name],
                    decision: `not here; will be built from packages${instead}`,
                    problem: airgapProblem(facts),
                };
            }
            const check = release?.sha256
                ? "pinned SHA-256"
                : "the publisher's checksum file: none is pinned";
            return {
                tool,
                version: PINNED[name],
                decision: `not here; will be downloaded (verified with ${check})${instead}`,
            };
        }
    }
}

function imageRow({ image, state }: InspectedImage, facts: Facts): Row {
    const row = (decision: string, problem?: Problem): Row => ({
        tool: `image ${image.name}`,
        version: image.tag,
        decision,
        problem,
    });
    switch (state) {
        case "official":
            return row("in Docker, by its pinned digest");
        case "airgap":
            return row("in Docker, air-gapped build");
        case "outdated":
            return row("in Docker, air-gapped build of an older recipe; will be built anew");
        case "other":
            return row("in Docker, another image of this tag: used as it is");
        case "absent":
            return facts.source === "official"
                ? row(`not in Docker; will be pulled by its digest, ${image.digest.slice(0, 19)}…`)
                : row("not in Docker; will be built from packages", airgapProblem(facts));
    }
}

function dockerRow(facts: Facts): Row {
    const { docker } = facts.inspection;
    const problem = dockerProblem(docker, facts.host);
    if (docker.daemon)
        return {
            tool: "docker",
            version: formatVersion(docker.daemon),
            decision: "the daemon answers",
            problem,
        };
    const willInstall = canInstallDocker(facts.host);
    return {
        tool: "docker",
        version: `>= ${DOCKER_MINIMUM}`,
        decision: willInstall
            ? "no daemon answers; will be installed (docker.io) and started"
            : "no daemon answers",
        problem,
    };
}

function rustRows(facts: Facts): Row[] {
    const { rust } = facts.inspection;
    const problem = rustProblem(rust);
    const version = rust.rustc ? formatVersion(rust.rustc) : `>= ${RUST_MINIMUM}`;
    const built = rust.agent?.cached ? `cache: ${rust.agent.dir}` : "will be built from krustlet/ with cargo";
    return [
        { tool: "rust", version, decision: rust.cargo ? `PATH: ${rust.cargo}` : "not on PATH", problem },
        ...WASI_TARGETS.map((target) => ({
            tool: `rust ${target}`,
            version: "",
            decision: problem ? "see rust" : targetDecision(rust, target),
        })),
        { tool: ownPrograms.join(", "), version: "", decision: problem ? "see rust" : built },
    ];
}

function targetDecision({ wasiTargets, rustup }: InspectedRust, target: WasiTarget): string {
    if (wasiTargets.includes(target)) return "here";
    return rustup ? "not here; will be added with rustup" : "not here; components alone need it";
}

/** Every tool, where it comes from, and what is missing. */
export function diagnose(facts: Facts): Row[] {
    const { inspection } = facts;
    return [
        { tool: "node", version: facts.nodeVersion, decision: `runs this; needed: ${NODE_MINIMUM} or later` },
        dockerRow(facts),
        ...rustRows(facts),
        ...TOOLS.map((name) => toolRow(inspection.tools[name], facts)),
        imageRow(inspection.images.node, facts),
        imageRow(inspection.images.registry, facts),
    ];
}

/** The problems of the rows, each once. */
export function problemsOf(rows: readonly Row[]): Problem[] {
    const byText = new Map(
        rows.flatMap(({ problem }) => (problem ? [[problem.what, problem] as const] : [])),
    );
    return [...byText.values()];
}
