import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { describe, it } from "node:test";
import { ROOT } from "../../common/root";
import { run } from "../../steps/lib/run";
import { missingCapabilities } from "../docker/capabilities";
import { dropStalePidFile } from "../docker/engine";
import { dockerdArguments, isDebianLike, parseOsRelease, planEngine, type DockerHost } from "../docker/host";
import { GO_ENVIRONMENT } from "../../common/go";

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n';
const FEDORA = 'PRETTY_NAME="Fedora Linux 43"\nID=fedora\n';

const host: DockerHost = {
    platform: "linux",
    uid: 0,
    osRelease: DEBIAN,
    systemd: false,
    dockerd: false,
    missingCapabilities: [],
};

describe("missing capabilities", () => {
    const status = (mask: string) =>
        `CapEff:\t0000000000000000\nCapBnd:\t${mask}\nCapAmb:\t0000000000000000\n`;

    it("reads them from the bounding set", () => {
        assert.deepEqual(missingCapabilities(status("000001ffffffffff"), "40\n"), []);
        assert.deepEqual(missingCapabilities(status("000001fffeffffff"), "40\n"), ["CAP_SYS_RESOURCE"]);
        assert.deepEqual(missingCapabilities(status("000001fffeffdffe"), "40\n"), [
            "capability 0",
            "capability 13",
            "CAP_SYS_RESOURCE",
        ]);
    });

    it("asks of the kernel only what it knows, and of runc only what it asks for", () => {
        assert.deepEqual(missingCapabilities(status("0000003fffffffff"), "37\n"), []);
        assert.deepEqual(missingCapabilities(status("000001ffffffffff"), "45\n"), []);
    });

    it("refuses a status without a bounding set", () => {
        assert.throws(() => missingCapabilities("Name:\tx\n", "40\n"), /CapBnd/);
    });
});

describe("what to do when no Docker daemon answers", () => {
    it("reads os-release", () => {
        assert.deepEqual(Object.fromEntries(parseOsRelease("# no\nID='x y'\nA=\"b\"\nBROKEN\n")), {
            ID: "x y",
            A: "b",
        });
        assert.equal(isDebianLike(DEBIAN), true);
        assert.equal(isDebianLike('ID=linuxmint\nID_LIKE="ubuntu debian"\n'), true);
        assert.equal(isDebianLike(FEDORA), false);
        assert.equal(isDebianLike(""), false);
    });

    it("installs and starts it as root on Debian", () => {
        assert.deepEqual(planEngine(host), { install: true, start: "by hand", restrictedRuntime: false });
        assert.deepEqual(planEngine({ ...host, systemd: true }), {
            install: true,
            start: "systemd",
            restrictedRuntime: false,
        });
    });

    it("starts one that is installed, on any distribution", () => {
        assert.deepEqual(planEngine({ ...host, osRelease: FEDORA, dockerd: true }), {
            install: false,
            start: "by hand",
            restrictedRuntime: false,
        });
    });

    it("registers the runtime only where capabilities are missing", () => {
        assert.equal(
            planEngine({ ...host, missingCapabilities: ["CAP_SYS_RESOURCE"] }).restrictedRuntime,
            true,
        );
        assert.deepEqual(dockerdArguments("/r"), [
            "--add-runtime=krustlet-stack-restricted=/r",
            "--default-runtime=krustlet-stack-restricted",
        ]);
        assert.deepEqual(dockerdArguments(undefined), []);
    });

    it("says what to do where it can do nothing", () => {
        const cases: [Partial<DockerHost>, RegExp][] = [
            [
                { dockerHost: "tcp://192.0.2.1:2375" },
                /at DOCKER_HOST=tcp:\/\/192\.0\.2\.1:2375: start it, or unset DOCKER_HOST/,
            ],
            [{ platform: "darwin" }, /install Docker Desktop/],
            [{ uid: 1000, dockerd: true }, /to user 1000: start Docker .*or run this command as root/],
            [{ osRelease: FEDORA }, /install Docker Engine and start it.*this is Fedora Linux 43/],
            [
                { systemd: true, missingCapabilities: ["CAP_SYS_RESOURCE"] },
                /lacks CAP_SYS_RESOURCE.*--default-runtime/,
            ],
        ];
        for (const [found, message] of cases) assert.throws(() => planEngine({ ...host, ...found }), message);
    });
});

describe("the OCI runtime for restricted hosts", () => {
    it("passes its own tests", async () => {
        const moduleDir = path.join(ROOT, "airgap", "docker", "oci-runtime");
        const result = await run(["go", "test", "-count=1", "./..."], {
            cwd: moduleDir,
            env: GO_ENVIRONMENT,
        });
        assert.match(result.stdout, /^ok\s+krustlet-stack\/airgap\/oci-runtime/m);
    });
});

describe("the pid that a killed daemon left", () => {
    it("goes unless the daemon itself has it", async (t) => {
        const dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-pid-"));
        t.after(() => fs.rm(dir, { recursive: true, force: true }));
        const file = path.join(dir, "containerd.pid");

        // Another process has the number now.
        await fs.writeFile(file, String(process.pid));
        await dropStalePidFile(file, "containerd");
        assert.equal(existsSync(file), false);
        // No process has it: no pid is as large.
        await fs.writeFile(file, "99999999\n");
        await dropStalePidFile(file, "containerd");
        assert.equal(existsSync(file), false);

        await fs.copyFile("/bin/sh", path.join(dir, "containerd"));
        const daemon = spawn(path.join(dir, "containerd"), ["-c", "echo started; read -r line"]);
        try {
            await once(daemon.stdout, "data");
            await fs.writeFile(file, String(daemon.pid));
            await dropStalePidFile(file, "containerd");
            assert.equal(existsSync(file), true);
        } finally {
            daemon.kill();
        }
        await dropStalePidFile(path.join(dir, "none"), "containerd");
    });
});
