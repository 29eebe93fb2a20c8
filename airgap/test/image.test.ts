import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { sha256File } from "../../common/cache";
import { consoleReporter } from "../../common/report";
import { building, type MakeContext } from "../../common/building";
import { architecture, imageConfig, tarArguments, writeImageArchive } from "../image/archive";
import { imageKey, nodeImageKey } from "../image/key";
import { parseMirror } from "../image/mirror";
import { commitChanges, controlPlaneTags, WITHOUT_PROXIES } from "../image/nodeImage";
import { registryRunConfig } from "../image/registryImage";
import { PACKAGES, rootfsArguments } from "../image/rootfs";

let dir: string;
let ctx: MakeContext;
before(async () => {
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "airgap-test-"));
    const silent = { update: () => undefined, done: () => undefined, fail: () => undefined };
    ctx = { report: { ...consoleReporter(), start: () => silent }, logDir: path.join(dir, "logs") };
});
after(() => fs.rm(dir, { recursive: true, force: true }));

describe("the Debian mirror", () => {
    it("is the distribution's own archive, as apt knows it", () => {
        const lines = [
            "Debian|Debian-Security|main|Packages|http://mirror.test/security/",
            "|||Packages|http://third.test/",
            "Debian|Debian|main|DEP-11|http://wrong.test/",
            "Debian|Debian|contrib|Packages|http://wrong.test/",
            "Debian|Debian|main|Packages|http://mirror.test/debian/",
        ];
        assert.equal(parseMirror(lines.join("\n")), "http://mirror.test/debian/");
        assert.equal(parseMirror(lines.slice(0, 4).join("\n")), undefined);
        assert.equal(parseMirror("Ubuntu|Ubuntu|main|Packages|http://mirror.test/ubuntu/"), undefined);
        assert.equal(parseMirror(""), undefined);
    });
});

describe("the root file system", () => {
    it("is made from that mirror, with signatures checked", () => {
        const argv = rootfsArguments("http://mirror.test/debian/", "/out/rootfs.tar", 0);
        assert.deepEqual(argv.slice(0, 3), ["mmdebstrap", "--mode=root", "--variant=essential"]);
        assert.deepEqual(argv.slice(-3), ["trixie", "/out/rootfs.tar", "http://mirror.test/debian/"]);
        assert.ok(argv.includes(`--include=${PACKAGES.join(",")}`));
        assert.ok(argv.includes("--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"));
        assert.equal(rootfsArguments("m", "o", 1000)[1], "--mode=unshare");
    });
});

describe("the control plane's images", () => {
    const list = [
        "kube-apiserver:v1.2.3",
        "kube-proxy:v1.2.3",
        "kube-controller-manager:v1.2.3",
        "kube-scheduler:v1.2.3",
    ]
        .concat(["coredns/coredns:v1.1.1", "pause:3.10.1", "etcd:3.6.8-0"])
        .map((image) => `registry.k8s.io/${image}`);

    it("have the names that kubeadm and containerd use", () => {
        assert.deepEqual(
            Object.fromEntries(controlPlaneTags(list.join("\n"), "registry.k8s.io/pause:3.10")),
            {
                "kube-apiserver": ["registry.k8s.io/kube-apiserver:v1.2.3"],
                "kube-controller-manager": ["registry.k8s.io/kube-controller-manager:v1.2.3"],
                "kube-scheduler": ["registry.k8s.io/kube-scheduler:v1.2.3"],
                "kube-proxy": ["registry.k8s.io/kube-proxy:v1.2.3"],
                pause: ["registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.10"],
                etcd: ["registry.k8s.io/etcd:3.6.8-0"],
                coredns: ["registry.k8s.io/coredns/coredns:v1.1.1"],
            },
        );
        assert.deepEqual(controlPlaneTags(list.join("\n"), "registry.k8s.io/pause:3.10.1").get("pause"), [
            "registry.k8s.io/pause:3.10.1",
        ]);
    });

    it("must all be named", () => {
        assert.throws(
            () => controlPlaneTags(list.slice(1).join("\n"), "x/pause:1"),
            /kubeadm names no image of kube-apiserver/,
        );
    });
});

describe("an image archive", () => {
    it("is the same for the same content, whenever it is made", async () => {
        const archives: string[] = [];
        for (const name of ["a", "b"]) {
            const root = path.join(dir, name, "root");
            await fs.mkdir(path.join(root, "bin"), { recursive: true });
            await fs.writeFile(path.join(root, "bin", "program"), "x");
            await fs.utimes(path.join(root, "bin", "program"), 1000, name === "a" ? 1000 : 2000);
            const work = path.join(dir, name, "work");
            await fs.mkdir(work);
            const archive = path.join(dir, name, "image.tar");
            const spec = { tags: ["example/program:1"], root, config: { Entrypoint: ["/bin/program"] } };
            await building(ctx, "archive", "archive", (build) =>
                writeImageArchive(build, [spec], work, archive),
            );
            archives.push(archive);
        }
        assert.equal(await sha256File(archives[0] ?? ""), await sha256File(archives[1] ?? ""));

        const cat = async (file: string) => (await run(["tar", "-xOf", archives[0] ?? "", file])).stdout;
        const [image] = JSON.parse(await cat("./manifest.json")) as [
            { Config: string; RepoTags: string[]; Layers: string[] },
        ];
        assert.deepEqual(image.RepoTags, ["example/program:1"]);
        assert.deepEqual(image.Layers, ["layer-0.tar"]);
        const layer = path.join(dir, "a", "work", "layer-0.tar");
        const spec = { tags: [], root: "", config: { Entrypoint: ["/bin/program"] } };
        assert.deepEqual(
            JSON.parse(await cat(`./${image.Config}`)),
            imageConfig(spec, await sha256File(layer)),
        );
    });

    it("names the machine as Docker does", () => {
        assert.equal(architecture("x64"), "amd64");
        assert.equal(architecture("arm64"), "arm64");
        assert.throws(() => architecture("mips"), /this machine is mips/);
        assert.deepEqual(tarArguments("o", "r").slice(-4), ["o", "-C", "r", "."]);
    });
});

describe("images made here", () => {
    it("carry the key of their recipe", async () => {
        assert.ok(commitChanges("0123").includes("LABEL krustlet-stack.recipe=0123"));
        assert.deepEqual(registryRunConfig("0123"), {
            Env: [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "OTEL_TRACES_EXPORTER=none",
            ],
            Entrypoint: ["/bin/registry", "serve"],
            Cmd: ["/etc/distribution/config.yml"],
            ExposedPorts: { "5000/tcp": {} },
            Volumes: { "/var/lib/registry": {} },
            Labels: { "krustlet-stack.recipe": "0123" },
        });
        const key = await imageKey(["registry", "registry:1"], ["registry"]);
        assert.equal(await imageKey(["registry", "registry:1"], ["registry"]), key);
        assert.notEqual(await imageKey(["registry", "registry:2"], ["registry"]), key);
        assert.notEqual(await imageKey(["registry", "registry:1"], ["registry", "etcd"]), key);
    });
    it("of the node is outdated by another release of Debian", async () => {
        const key = await nodeImageKey("node:1");
        assert.equal(await nodeImageKey("node:1", "trixie"), key);
        assert.notEqual(await nodeImageKey("node:1", "forky"), key);
    });
    it("of the node keeps none of the proxies that Docker's configuration gives a container", () => {
        assert.deepEqual(WITHOUT_PROXIES.slice(0, 4), [
            "--env=HTTP_PROXY=",
            "--env=http_proxy=",
            "--env=HTTPS_PROXY=",
            "--env=https_proxy=",
        ]);
        assert.equal(WITHOUT_PROXIES.length, 10);
    });
});

describe("a build that fails", () => {
    it("names what failed and the log file with the whole output", async () => {
        const failing = building(ctx, "failing", "something", (build) =>
            build.run(["sh", "-c", "echo first; echo the reason >&2; exit 3"]),
        );
        const logFile = path.join(ctx.logDir, "failing.log");
        await assert.rejects(failing, (error: Error) => {
            assert.match(error.message, /^something: sh -c .*: exit code 3\nthe reason\n/);
            assert.ok(error.message.endsWith(`The whole output is in ${logFile}.`));
            return true;
        });
        const log = (await fs.readFile(logFile, "utf8")).split("\n");
        assert.ok(log.includes("first") && log.includes("the reason"));
    });
});
