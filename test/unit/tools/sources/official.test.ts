import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { digestFromList, download } from "../../../../tools/lib/download";
import { probe } from "../../../../tools/lib/reach";
import type { Reporter } from "../../../../common/report";
import { fetchRelease } from "../../../../tools/sources/official";
import { releaseOf, type Release } from "../../../../tools/sources/releases";

// The official releases, served by this test at the same paths as a mirror would (KRUSTLET_STACK_MIRROR).
const files = new Map<string, Buffer | ((response: ServerResponse) => void)>();
const asked: string[] = [];
let server: Server;
let mirror: string;
let dir: string;
let said: string[];

const report: Reporter = {
    note: (message) => said.push(message),
    warn: (message) => said.push(`! ${message}`),
    start: (title) => {
        said.push(`> ${title}`);
        return {
            update: () => undefined,
            done: () => said.push("done"),
            fail: (detail) => said.push(`✗ ${detail}`),
        };
    },
};

const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
const sha1 = (data: Buffer) => createHash("sha1").update(data).digest("hex");

before(async () => {
    server = createServer((request, response) => {
        const url = request.url ?? "";
        asked.push(url);
        const file = files.get(url);
        if (file === undefined) response.writeHead(404).end("no such file");
        else if (Buffer.isBuffer(file)) response.writeHead(200, { "content-length": file.length }).end(file);
        else file(response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
    server.closeAllConnections();
    server.close();
});

const cacheHome = process.env.XDG_CACHE_HOME;
beforeEach(async () => {
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
    process.env.XDG_CACHE_HOME = path.join(dir, "cache");
    files.clear();
    asked.length = 0;
    said = [];
});
afterEach(async () => {
    if (cacheHome === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cacheHome;
    await fs.rm(dir, { recursive: true, force: true });
});

const pathOf = (url: string) => url.slice(mirror.length);

/** The archive of a plugin, as the publisher packs it. */
async function pluginArchive(): Promise<Buffer> {
    const folder = path.join(dir, "plugin");
    await fs.mkdir(folder);
    await fs.writeFile(path.join(folder, "pulumi-resource-docker"), "#!/bin/sh\necho plugin\n", {
        mode: 0o755,
    });
    await fs.writeFile(path.join(folder, "LICENSE"), "Apache\n");
    return execFileSync("tar", ["-czf", "-", "-C", folder, "pulumi-resource-docker", "LICENSE"]);
}

async function cacheIsEmpty(): Promise<boolean> {
    const entries = await fs
        .readdir(path.join(dir, "cache"), { recursive: true, withFileTypes: true })
        .catch(() => []);
    return entries.every((entry) => !entry.isFile());
}

describe("an official release with a pinned checksum", () => {
    const program = Buffer.from("#!/bin/sh\necho kind\n");
    const kind = (sum: string): Release => ({ ...releaseOf("kind", "linux-amd64", mirror), sha256: sum });

    it("is fetched once, verified, and can be run", async () => {
        const release = kind(sha256(program));
        files.set(pathOf(release.url), program);
        const folder = await fetchRelease("kind", release, report);
        assert.equal(execFileSync(path.join(folder, "kind"), { encoding: "utf8" }), "kind\n");
        assert.deepEqual(said, ["> kind v0.33.0, official release", "done"]);
        assert.equal(await fetchRelease("kind", release, report), folder);
        assert.deepEqual(asked, [
            "/github.com/kubernetes-sigs/kind/releases/download/v0.33.0/kind-linux-amd64",
        ]);
    });
    it("is thrown away when it is another file", async () => {
        const release = kind(sha256(program));
        files.set(pathOf(release.url), Buffer.from("#!/bin/sh\necho evil\n"));
        await assert.rejects(fetchRelease("kind", release, report), (error: Error) => {
            assert.equal(error.name, "ChecksumError");
            assert.match(
                error.message,
                new RegExp(`but ${sha256(program)} was expected. The file was thrown away`),
            );
            return true;
        });
        assert.equal(await cacheIsEmpty(), true);
    });
    it("says so when it is not there", async () => {
        const release = kind(sha256(program));
        await assert.rejects(fetchRelease("kind", release, report), {
            message: `${release.url}: HTTP status 404 Not Found`,
        });
        assert.equal(await cacheIsEmpty(), true);
    });
    it("does not wait for ever for an answer", async () => {
        const release = kind(sha256(program));
        files.set(pathOf(release.url), () => undefined);
        const begun = Date.now();
        await assert.rejects(fetchRelease("kind", release, report, { answerSeconds: 0.3 }), {
            message: `${release.url}: no answer for 0.3 s`,
        });
        assert.ok(Date.now() - begun < 5000);
    });
    it("does not wait for ever for the rest", async () => {
        const release = kind(sha256(program));
        files.set(pathOf(release.url), (response) => {
            response.writeHead(200, { "content-length": program.length });
            response.write(program.subarray(0, 5));
        });
        await assert.rejects(fetchRelease("kind", release, report, { stallSeconds: 0.3 }), {
            message: `${release.url}: nothing received for 0.3 s`,
        });
        assert.equal(await cacheIsEmpty(), true);
    });
    it("is not taken when the connection breaks", async () => {
        const release = kind(sha256(program));
        files.set(pathOf(release.url), (response) => {
            response.writeHead(200, { "content-length": program.length });
            response.write(program.subarray(0, 5), () => response.destroy());
        });
        await assert.rejects(fetchRelease("kind", release, report), new RegExp(`^Error: ${release.url}: `));
        assert.equal(await cacheIsEmpty(), true);
    });
});

describe("an official release without a pinned checksum", () => {
    const plugin = () => releaseOf("plugin-docker", "linux-amd64", mirror);

    it("is verified with the publisher's list, and that is said", async () => {
        const release = plugin();
        const archive = await pluginArchive();
        files.set(pathOf(release.url), archive);
        files.set(
            pathOf(release.checksumsUrl),
            Buffer.from(
                `${sha1(Buffer.from("x"))}  ./other.tar.gz\n${sha1(archive)}  ./${release.fileName}\n`,
            ),
        );
        const folder = await fetchRelease("plugin-docker", release, report);
        assert.equal(
            execFileSync(path.join(folder, "pulumi-resource-docker"), { encoding: "utf8" }),
            "plugin\n",
        );
        assert.deepEqual(said, [
            "> plugin-docker v5.0.0, official release",
            `${release.fileName}: no checksum of it is pinned here; verified with the publisher's own sha1 (${release.checksumsUrl})`,
            "done",
        ]);
    });
    it("is refused when the list says otherwise", async () => {
        const release = plugin();
        files.set(pathOf(release.url), await pluginArchive());
        files.set(pathOf(release.checksumsUrl), Buffer.from(`${"0".repeat(64)}  ${release.fileName}\n`));
        await assert.rejects(fetchRelease("plugin-docker", release, report), { name: "ChecksumError" });
        assert.equal(await cacheIsEmpty(), true);
    });
    it("is refused when the list does not name it, or is not there", async () => {
        const release = plugin();
        files.set(pathOf(release.url), await pluginArchive());
        await assert.rejects(fetchRelease("plugin-docker", release, report), {
            message: `${release.checksumsUrl}: HTTP status 404 Not Found`,
        });
        files.set(pathOf(release.checksumsUrl), Buffer.from(`${"0".repeat(64)}  another.tar.gz\n`));
        await assert.rejects(fetchRelease("plugin-docker", release, report), {
            message: `${release.checksumsUrl} holds no checksum of ${release.fileName}`,
        });
        assert.equal(
            asked.includes(pathOf(release.url)),
            false,
            "nothing may be fetched that cannot be verified",
        );
    });
});

describe("the Pulumi CLI", () => {
    it("is unpacked without the folder that the archive has", async () => {
        const folder = path.join(dir, "make");
        await fs.mkdir(path.join(folder, "pulumi"), { recursive: true });
        for (const name of ["pulumi", "pulumi-language-nodejs"]) {
            await fs.writeFile(path.join(folder, "pulumi", name), `#!/bin/sh\necho ${name}\n`, {
                mode: 0o755,
            });
        }
        const archive = execFileSync("tar", ["-czf", "-", "-C", folder, "pulumi"]);
        const release: Release = { ...releaseOf("pulumi", "linux-amd64", mirror), sha256: sha256(archive) };
        files.set(pathOf(release.url), archive);
        const got = await fetchRelease("pulumi", release, report);
        const names = (await fs.readdir(got)).filter((name) => !name.endsWith(".json"));
        assert.deepEqual(names.sort(), ["pulumi", "pulumi-language-nodejs"]);
    });
});

describe("checksum lists", () => {
    const one = "a".repeat(64);
    const two = "B".repeat(64);
    it("are read in the forms that publishers use", () => {
        assert.deepEqual(digestFromList(`${one}  kind-linux-amd64\n`, "kind-linux-amd64"), {
            algorithm: "sha256",
            hex: one,
        });
        assert.deepEqual(digestFromList(`${one} *x.tgz\n${two}  ./y.tgz\n`, "y.tgz"), {
            algorithm: "sha256",
            hex: "b".repeat(64),
        });
        assert.deepEqual(digestFromList(one, "kubectl"), { algorithm: "sha256", hex: one });
        assert.deepEqual(digestFromList(`${"c".repeat(128)}  x`, "x"), {
            algorithm: "sha512",
            hex: "c".repeat(128),
        });
    });
    it("do not stand for another file, or for what is no checksum", () => {
        assert.equal(digestFromList(`${one}  kind-linux-arm64\n`, "kind-linux-amd64"), undefined);
        assert.equal(digestFromList("<html>403</html>\n", "kubectl"), undefined);
        assert.equal(digestFromList("abc  kubectl\n", "kubectl"), undefined);
    });
});

describe("reaching the official releases", () => {
    it("takes an answer or a redirect for yes", async () => {
        files.set("/there", Buffer.from("x"));
        files.set("/moved", (response) => response.writeHead(302, { location: "/elsewhere" }).end());
        const host = new URL(mirror).host;
        assert.deepEqual(await probe(`${mirror}/there`), { reachable: true, because: `${host} answers` });
        assert.deepEqual(await probe(`${mirror}/moved`), { reachable: true, because: `${host} answers` });
    });
    it("takes a gateway's refusal, silence, and a closed port for no", async () => {
        files.set("/denied", (response) => response.writeHead(403).end());
        files.set("/silent", () => undefined);
        const host = new URL(mirror).host;
        assert.deepEqual(await probe(`${mirror}/denied`), {
            reachable: false,
            because: `${host} answers with HTTP status 403`,
        });
        assert.deepEqual(await probe(`${mirror}/silent`, 0.3), {
            reachable: false,
            because: `${host} cannot be reached (no answer within 0.3 s)`,
        });
        const closed = createServer();
        await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
        const { port } = closed.address() as AddressInfo;
        await new Promise((resolve) => closed.close(resolve));
        const reach = await probe(`http://127.0.0.1:${port}/x`);
        assert.equal(reach.reachable, false);
        assert.match(reach.because, /ECONNREFUSED/);
    });
});

it("leaves no half of a file behind", async () => {
    files.set("/half", (response) => {
        response.writeHead(200, { "content-length": 100 });
        response.write("half", () => response.destroy());
    });
    const file = path.join(dir, "half");
    await assert.rejects(download(`${mirror}/half`, file, { algorithm: "sha256", hex: "0" }));
    await assert.rejects(fs.access(file), { code: "ENOENT" });
});
