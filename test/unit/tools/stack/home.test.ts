import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
    checkStackName,
    ensureHome,
    homeOf,
    mergeConfig,
    projectName,
    pulumiEnv,
    refreshConfigCopy,
    stackFiles,
    type Home,
} from "../../../../tools/stack/home";
import { removeHomeIfEmpty, removeStackFiles } from "../../../../tools/stack/remove";

let dir: string;
let home: Home;

beforeEach(async () => {
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
    home = homeOf({ KRUSTLET_STACK_HOME: path.join(dir, "home") });
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const mode = async (file: string) => ((await fs.stat(file)).mode & 0o777).toString(8);

describe("home folder", () => {
    it("is closed to others, and its passphrase is random and long", async () => {
        await ensureHome(home);
        assert.equal(await mode(home.dir), "700");
        assert.equal(await mode(home.passphrase), "600");
        const passphrase = await fs.readFile(home.passphrase, "utf8");
        assert.match(passphrase, /^[A-Za-z0-9_-]{43}\n$/);
        const other = homeOf({ KRUSTLET_STACK_HOME: path.join(dir, "other") });
        await ensureHome(other);
        assert.notEqual(await fs.readFile(other.passphrase, "utf8"), passphrase);
        assert.deepEqual((await fs.readdir(home.dir)).sort(), ["backend", "logs", "passphrase", "pulumi"]);
    });
    it("keeps one passphrase for ever, also when many runs begin at once", async () => {
        await Promise.all(Array.from({ length: 8 }, () => ensureHome(home)));
        const first = await fs.readFile(home.passphrase, "utf8");
        await ensureHome(home);
        assert.equal(await fs.readFile(home.passphrase, "utf8"), first);
        assert.deepEqual((await fs.readdir(home.dir)).sort(), ["backend", "logs", "passphrase", "pulumi"]);
    });
    it("makes no new passphrase for stacks that were made with another", async () => {
        await fs.mkdir(path.join(home.backend, ".pulumi", "stacks", "demo"), { recursive: true });
        await fs.writeFile(path.join(home.backend, ".pulumi", "stacks", "demo", "dev.json"), "{}");
        await assert.rejects(ensureHome(home), /passphrase is gone, but .*backend holds stacks/);
        await assert.rejects(fs.access(home.passphrase), { code: "ENOENT" });
    });
    it("refuses an empty passphrase", async () => {
        await fs.mkdir(home.dir, { recursive: true });
        await fs.writeFile(home.passphrase, "\n");
        await assert.rejects(ensureHome(home), /passphrase is empty/);
    });
    it("gives pulumi its own home, backend and passphrase, and no other passphrase", () => {
        assert.deepEqual(pulumiEnv(homeOf({ KRUSTLET_STACK_HOME: "/srv/my stacks" })), {
            PULUMI_HOME: "/srv/my stacks/pulumi",
            PULUMI_BACKEND_URL: "file:///srv/my%20stacks/backend",
            PULUMI_CONFIG_PASSPHRASE_FILE: "/srv/my stacks/passphrase",
            PULUMI_CONFIG_PASSPHRASE: undefined,
            PULUMI_SKIP_UPDATE_CHECK: "true",
            PULUMI_SUPPRESS_NEO_LINK: "true",
        });
    });
});

describe("configuration", () => {
    const salt = "encryptionsalt: v1:abc=:v1:def:ghi==";

    it("gets the salt of the copy", () => {
        assert.equal(
            mergeConfig("config:\n    a: 1\n", `${salt}\nconfig:\n    a: 0\n`),
            `${salt}\nconfig:\n  a: 1\n`,
        );
    });
    it("may be JSON, or begin with a document mark", () => {
        const copy = `${salt}\n`;
        assert.equal(mergeConfig('{"config": {"a": "1"}}', copy), `${salt}\nconfig:\n  a: '1'\n`);
        assert.equal(
            mergeConfig("---\n# mine\nconfig: {a: [yes, 1.5]}\n", copy),
            `${salt}\nconfig:\n  a:\n    - 'yes'\n    - 1.5\n`,
        );
        assert.equal(mergeConfig("", copy), `${salt}\n`);
    });
    it("keeps its own salt, which its own secrets need", () => {
        const own = "encryptionsalt: v1:own\nconfig: {}\n";
        assert.equal(mergeConfig(own, `${salt}\n`), own);
        assert.equal(
            mergeConfig('{"encryptionsalt": "v1:own"}', `${salt}\n`),
            '{"encryptionsalt": "v1:own"}',
        );
    });
    it("is taken as it is the first time, and when it is no configuration", () => {
        assert.equal(mergeConfig("config: {}\n", undefined), "config: {}\n");
        assert.equal(mergeConfig("config: {}\n", "config: {}\n"), "config: {}\n");
        assert.equal(mergeConfig("config: {\n", `${salt}\n`), "config: {\n");
        assert.equal(mergeConfig("just text\n", `${salt}\n`), "just text\n");
    });
    it("is copied anew each time, and the project's folder is left as it is", async () => {
        const cwd = path.join(dir, "project");
        await fs.mkdir(cwd);
        await fs.writeFile(path.join(cwd, "Pulumi.yaml"), "name: demo\nruntime: nodejs\n");
        await fs.writeFile(path.join(cwd, "Pulumi.dev.yaml"), "config:\n    demo:a: 1\n");
        const files = stackFiles(home, "demo", "dev", cwd);
        await refreshConfigCopy(files);
        assert.equal(await fs.readFile(files.configCopy, "utf8"), "config:\n    demo:a: 1\n");
        await fs.writeFile(files.configCopy, `${salt}\nconfig:\n    demo:a: 1\n    demo:gone: 2\n`);
        await refreshConfigCopy(files);
        assert.equal(await fs.readFile(files.configCopy, "utf8"), `${salt}\nconfig:\n  demo:a: 1\n`);
        assert.equal(await mode(files.configCopy), "600");
        assert.equal(
            await fs.readFile(path.join(files.configDir, "Pulumi.yaml"), "utf8"),
            "name: demo\nruntime: nodejs\n",
        );
        assert.deepEqual((await fs.readdir(cwd)).sort(), ["Pulumi.dev.yaml", "Pulumi.yaml"]);
    });
});

describe("names", () => {
    it("reads the project's name", () => {
        assert.equal(
            projectName("# comment\nname: krustlet-stack\nruntime:\n  name: nodejs\n"),
            "krustlet-stack",
        );
        assert.equal(projectName('name: "demo" # mine\n'), "demo");
        assert.throws(() => projectName("runtime: nodejs\n"), { message: "Pulumi.yaml has no name" });
    });
    it("lets no stack name leave its folder", () => {
        checkStackName("dev");
        for (const bad of ["", "../x", "a/b", ".", "-x"])
            assert.throws(() => checkStackName(bad), /cannot be the name of a stack/);
    });
});

describe("after down", () => {
    /** By Pulumi, with a passphrase that is no home's. */
    const othersSalt = "v1:9XmY/3r/dnU=:v1:ZVO5195dMUw5JrFz:t8Frys9KtuvmjOP4vYPczuTHO45Gag==";

    async function project(config: string) {
        const cwd = path.join(dir, "project");
        await fs.mkdir(cwd);
        await fs.writeFile(path.join(cwd, "Pulumi.yaml"), "name: demo\n");
        await fs.writeFile(path.join(cwd, "Pulumi.dev.yaml"), config);
        await ensureHome(home);
        const files = stackFiles(home, "demo", "dev", cwd);
        await refreshConfigCopy(files);
        const bookkeeping = path.join(home.backend, ".pulumi");
        for (const file of [
            `stacks/demo/dev.json.bak`,
            `history/demo/dev/1.json`,
            `backups/demo/dev/1.json`,
        ]) {
            await fs.mkdir(path.dirname(path.join(bookkeeping, file)), { recursive: true });
            await fs.writeFile(path.join(bookkeeping, file), "{}");
        }
        return files;
    }

    it("leaves nothing", async () => {
        const files = await project("config: {}\n");
        await removeStackFiles(home, files);
        await removeHomeIfEmpty(home, files);
        await assert.rejects(fs.access(home.dir), { code: "ENOENT" });
        await removeStackFiles(home, files);
        await removeHomeIfEmpty(home, files);
    });
    it("leaves another stack alone", async () => {
        const files = await project("config: {}\n");
        const other = stackFiles(home, "demo", "other", files.cwd);
        await fs.mkdir(path.dirname(other.state), { recursive: true });
        await fs.writeFile(other.state, "{}");
        await removeStackFiles(home, files);
        await removeHomeIfEmpty(home, files);
        assert.equal(await fs.readFile(other.state, "utf8"), "{}");
        await fs.access(home.passphrase);
        await assert.rejects(fs.access(files.configCopy), { code: "ENOENT" });
    });
    it("keeps the passphrase that the project's own secrets need", async () => {
        const files = await project("encryptionsalt: v1:x\nconfig:\n    demo:a:\n        secure: v1:y\n");
        await removeStackFiles(home, files);
        await removeHomeIfEmpty(home, files);
        assert.deepEqual(await fs.readdir(home.dir), ["passphrase"]);
    });
    it("does not keep it for secrets that need another home's", async () => {
        const files = await project(`encryptionsalt: ${othersSalt}\nconfig: {}\n`);
        await removeStackFiles(home, files);
        await removeHomeIfEmpty(home, files);
        await assert.rejects(fs.access(home.dir), { code: "ENOENT" });
    });
});
